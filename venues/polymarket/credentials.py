"""Keys of a live account: who signs, whose money is used, and secrets that no text ever shows."""

from typing import Never

import msgspec

from core.errors import FatalError

HIDDEN = "***"
POLYGON = 137
AMOY = 80002
EOA, POLY_PROXY, GNOSIS_SAFE, POLY_1271 = 0, 1, 2, 3
"""Signature types: a plain wallet, the venue's e-mail proxy, a Safe, and the deposit wallet new accounts have."""
SIGNATURE_TYPES = frozenset({EOA, POLY_PROXY, GNOSIS_SAFE, POLY_1271})
CURVE_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
"""Of secp256k1 (SEC 2, 2.4.1): a private key is a number from 1 to one less than this."""


class Secret:
    """A text that shows as `***` wherever it is printed; only `reveal` gives it, and it cannot be serialised."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the secret itself."""
        return self._text

    def __repr__(self) -> str:
        return HIDDEN

    def __format__(self, spec: str) -> str:
        return HIDDEN

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __bool__(self) -> bool:
        return bool(self._text)

    def __reduce__(self) -> Never:
        raise TypeError("a secret cannot be pickled or copied into a file: pass it on in memory")


class ApiKey(msgspec.Struct, frozen=True):
    """The venue's L2 credentials; the key's own name is treated as a secret too."""

    key: Secret
    secret: Secret
    passphrase: Secret

    def scrubbed(self, text: str) -> str:
        """Return `text` without any of the three."""
        return scrubbed(text, self.key, self.secret, self.passphrase)


class Wallet(msgspec.Struct, frozen=True):
    """Who signs and whose money is used. `funder` is the address that holds the dollars; None is the signer's own."""

    private_key: Secret
    signature_type: int = EOA
    funder: str | None = None
    chain_id: int = POLYGON


def scrubbed(text: str, *secrets: Secret) -> str:
    """Return `text` with every occurrence of a secret replaced by `***`."""
    for secret in secrets:
        if secret:
            text = text.replace(secret.reveal(), HIDDEN)
            text = text.replace(secret.reveal().removeprefix("0x"), HIDDEN)
    return text


def key_bytes(private_key: Secret) -> bytes:
    """Return the 32 bytes of a private key in hexadecimal, with or without 0x.

    Raises:
        FatalError: when it is none; the text does not contain it.
    """
    digits = private_key.reveal().strip().removeprefix("0x").removeprefix("0X")
    try:
        key = bytes.fromhex(digits)
    except ValueError:
        key = b""
    if len(key) != 32:  # noqa: PLR2004 - the size of a secp256k1 key
        raise FatalError(
            f"the private key is no 64 hexadecimal digits ({len(digits)} characters): export it from the wallet again"
        ) from None
    if not 0 < int.from_bytes(key) < CURVE_ORDER:
        raise FatalError("the private key is a number that no wallet can have: export it from the wallet again")
    return key
