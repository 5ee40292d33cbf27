"""EIP-712 hashing of flat structs (every member is one 32-byte word), and the address that signed a digest."""

from collections.abc import Sequence
from functools import lru_cache

import msgspec
from eth_keys.datatypes import Signature
from eth_keys.exceptions import BadSignature
from eth_utils.crypto import keccak
from eth_utils.exceptions import ValidationError as MalformedError

Word = int | str | bytes
"""One member: a number, an address (`0x` and 40 hex digits), or 32 bytes as they are."""

_WORD = 32
_SIGNATURE_BYTES = 65
_RECOVERY_OFFSET = 27
_HALF_ORDER = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0


class Domain(msgspec.Struct, frozen=True):
    """What a signature is valid for: a protocol's name and version on one chain, and the contract that checks it."""

    name: str
    version: str
    chain_id: int
    contract: str | None = None


def word(value: Word) -> bytes:
    """Return one member as 32 bytes. Raises ValueError for what does not fit."""
    if isinstance(value, bytes):
        if len(value) != _WORD:
            raise ValueError(f"{len(value)} bytes are not a word of {_WORD}")
        return value
    if isinstance(value, str):
        return address_bytes(value).rjust(_WORD, b"\0")
    try:
        return value.to_bytes(_WORD, "big")
    except OverflowError:
        raise ValueError(f"{value} is not an unsigned number of 256 bits") from None


def address_bytes(address: str) -> bytes:
    """Return an address' 20 bytes. Raises ValueError for what is none."""
    if len(address) != 42 or not address.startswith("0x"):  # noqa: PLR2004 -- 0x and 20 bytes
        raise ValueError(f"{address!r} is not an address")
    return bytes.fromhex(address[2:])


@lru_cache(maxsize=64)
def text_hash(text: str) -> bytes:
    """Return the Keccak-256 of a text: how EIP-712 encodes types and strings."""
    return keccak(text=text)


def struct_hash(type_text: str, members: Sequence[Word]) -> bytes:
    """Return a struct's hash. Raises ValueError when a member does not fit a word."""
    return keccak(text_hash(type_text) + b"".join(map(word, members)))


@lru_cache(maxsize=16)
def domain_separator(domain: Domain) -> bytes:
    """Return the domain's hash; the contract is part of its type only where there is one."""
    members: list[Word] = [text_hash(domain.name), text_hash(domain.version), domain.chain_id]
    if domain.contract is None:
        return struct_hash("EIP712Domain(string name,string version,uint256 chainId)", members)
    text = "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
    return struct_hash(text, [*members, domain.contract])


def digest(separator: bytes, hashed: bytes) -> bytes:
    """Return what is signed: a struct's hash below a domain."""
    return keccak(b"\x19\x01" + separator + hashed)


def recover(signed: bytes, signature: bytes) -> str | None:
    """Return the address (lower case) that signed a digest, None when no key can have made this signature.

    As the contracts do, it takes 65 bytes r, s, v with v 27 or 28, and refuses the upper of two equivalent values of s.
    """
    if len(signature) != _SIGNATURE_BYTES or signature[64] - _RECOVERY_OFFSET not in {0, 1}:
        return None
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:64], "big")
    if s > _HALF_ORDER:
        return None
    try:
        signer = Signature(vrs=(signature[64] - _RECOVERY_OFFSET, r, s)).recover_public_key_from_msg_hash(signed)
    except (BadSignature, MalformedError):
        return None
    return str(signer.to_address())
