"""Hash and signature of a version 2 order in a seventh of the time: without encoding anew what never changes.

`version2.Format` holds both against the vendor's own code before they are used.
"""

from collections.abc import Callable

from eth_account import Account
from eth_utils.crypto import keccak
from py_clob_client_v2.order_utils.exchange_order_builder_v2 import ORDER_TYPE_HASH
from py_clob_client_v2.order_utils.model.order_data_v2 import OrderV2

_WORD = 32
_RECOVERY = 27
"""Added to the parity of a signature's point, as Ethereum writes it."""


def order_digest(domain: bytes, order: OrderV2) -> bytes:
    """Return the EIP-712 hash of `order` under a contract's domain separator: what is signed, and the order's id."""
    numbers = (order.tokenId, order.makerAmount, order.takerAmount, order.side, order.signatureType, order.timestamp)
    words = (
        _number(order.salt),
        bytes.fromhex(order.maker[2:]).rjust(_WORD, b"\0"),
        bytes.fromhex(order.signer[2:]).rjust(_WORD, b"\0"),
        *map(_number, numbers),
        bytes.fromhex(order.metadata[2:]),
        bytes.fromhex(order.builder[2:]),
    )
    return bytes(keccak(b"\x19\x01" + domain + keccak(ORDER_TYPE_HASH + b"".join(words))))


def digest_signer(key: bytes) -> Callable[[bytes], str]:
    """Return what signs a hash with `key`, as 0x and 65 bytes; the nonce follows from both, as RFC 6979 says."""
    try:
        from coincurve import PrivateKey  # noqa: PLC0415 -- there is not a wheel of it for every Python
    except ImportError:
        return lambda digest: "0x" + Account.unsafe_sign_hash(digest, key).signature.hex()
    private = PrivateKey(key)

    def sign(digest: bytes) -> str:
        signature = private.sign_recoverable(digest, hasher=None)
        return f"0x{signature[:-1].hex()}{_RECOVERY + signature[-1]:02x}"

    return sign


def _number(value: str | int) -> bytes:
    return int(value).to_bytes(_WORD, "big")
