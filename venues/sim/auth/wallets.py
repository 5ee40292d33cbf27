"""The wallets of a key: the venue's factories put each at an address that follows from the owner's (CREATE2).

Derivations as in the vendor's SDK (Polymarket/py-sdk, `_internal/wallet.py`), for Polygon.
"""

from functools import lru_cache

import msgspec
from eth_utils.crypto import keccak

from venues.sim.auth.eip712 import address_bytes, word

EOA, POLY_PROXY, GNOSIS_SAFE, POLY_1271 = range(4)
"""The signature types of an order, that is, which of its owner's wallets is its maker."""

_PROXY_FACTORY = address_bytes("0xaB45c5A4B0c941a2F231C04C3f49182e1A254052")
_PROXY_CODE_HASH = bytes.fromhex("d21df8dc65880a8606f09fe0ce3df9b8869287ab0b058be05aa9e8af6330a00b")
_SAFE_FACTORY = address_bytes("0xaacFeEa03eb1561C4e67d661e40682Bd20E3541b")
_SAFE_CODE_HASH = bytes.fromhex("2bce2127ff07fb632d16c8347c4ebf501f4841168bed00d9e6ef715ddb6fcecf")
_DEPOSIT_FACTORY = "0x00000000000Fb5C9ADea0298D729A0CB3823Cc07"
_DEPOSIT_BEACON = address_bytes("0x7A18EDfe055488A3128f01F563e5B479D92ffc3a")
_BEACON_PREFIX = 0x6100523D8160233D3973
_BEACON_CODE = bytes.fromhex(
    "60195155f3363d3d373d3d363d602036600436635c60da"
    "1b60e01b36527fa3f0ad74e5423aebfd80d3ef4346578335a9a72aeaee59ff6c"
    "b3582b35133d50545afa5036515af43d6000803e604d573d6000fd5b3d6000f3"
)


class Wallets(msgspec.Struct, frozen=True):
    """One owner's wallets, by signature type; addresses in lower case."""

    eoa: str
    proxy: str
    safe: str
    deposit: str

    def of_type(self, signature_type: int) -> str:
        """Return the wallet that orders of this signature type are made by. Raises ValueError for an unknown type."""
        if not EOA <= signature_type <= POLY_1271:
            raise ValueError(f"no signature type {signature_type}")
        return (self.eoa, self.proxy, self.safe, self.deposit)[signature_type]


@lru_cache(maxsize=4096)
def wallets_of(owner: str) -> Wallets:
    """Return the wallets of a key's address. Raises ValueError when that is no address."""
    raw = address_bytes(owner)
    return Wallets(
        eoa=owner.lower(),
        proxy=_create2(_PROXY_FACTORY, keccak(raw), _PROXY_CODE_HASH),
        safe=_create2(_SAFE_FACTORY, keccak(word(owner)), _SAFE_CODE_HASH),
        deposit=_deposit_wallet(owner),
    )


def _deposit_wallet(owner: str) -> str:
    """Return the beacon proxy the factory makes today; the owner's address is its constructor's wallet id."""
    arguments = word(_DEPOSIT_FACTORY) + word(owner)
    prefix = (_BEACON_PREFIX + (len(arguments) << 56)).to_bytes(10, "big")
    code_hash = keccak(prefix + _DEPOSIT_BEACON + _BEACON_CODE + arguments)
    return _create2(address_bytes(_DEPOSIT_FACTORY), keccak(arguments), code_hash)


def _create2(factory: bytes, salt: bytes, code_hash: bytes) -> str:
    return "0x" + keccak(b"\xff" + factory + salt + code_hash)[12:].hex()
