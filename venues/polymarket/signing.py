"""Signed orders: their EIP-712 hash is known, and kept with what was signed, before anything is sent."""

from collections.abc import Callable
from random import Random
from typing import Protocol

import msgspec
from eth_account import Account
from eth_utils.address import to_checksum_address

from core.errors import FatalError, RejectedError
from core.trading.limits import KNOWN_PROTOCOLS
from core.trading.orders import Order, OrderType
from venues.polymarket.amounts import Amounts, amounts_of
from venues.polymarket.credentials import EOA, POLY_1271, SIGNATURE_TYPES, Wallet, key_bytes

_ADDRESS_CHARACTERS = 42


class OrderTerms(msgspec.Struct, frozen=True):
    """What a market says about signing: the tick in force (1e-6), its exchange contract, its protocol version.

    `fee_rate_bps` is signed by order version 1 only.
    """

    tick_size: int
    neg_risk: bool = False
    fee_rate_bps: int = 0
    protocol_version: str = "v1"


class SignedOrder(msgspec.Struct, frozen=True):
    """One order ready to send, and to be found or cancelled by `order_hash`, the venue's `orderID`.

    `payload` is the JSON of the order with its signature and without any key: it may be written down.
    """

    order_id: str
    order_hash: str
    order_type: OrderType
    version: int
    payload: msgspec.Raw
    amounts: Amounts
    neg_risk: bool = False
    post_only: bool = False

    def __repr__(self) -> str:
        return f"SignedOrder({self.order_id}, {self.order_hash}, {self.order_type}, version {self.version})"


class Signed(msgspec.Struct, frozen=True):
    """What an order version makes of an order: its hash, and the JSON of it with the signature."""

    order_hash: str
    payload: dict[str, str | int]


class OrderFormat(Protocol):
    """One order version: how an order is hashed, signed and written."""

    version: int

    def exchange(self, *, neg_risk: bool) -> str:
        """Return the address of the contract that checks these orders: the spender of the allowance."""
        ...

    def signed(self, order: Order, amounts: Amounts, terms: OrderTerms, salt: int, at_ms: int) -> Signed:
        """Return the signed order. No network, no clock, no randomness."""
        ...

    def hash_of(self, payload: dict[str, str | int], *, neg_risk: bool) -> str:
        """Return the EIP-712 hash of a payload as `signed` made it."""
        ...


class OrderSigner:
    """Signs orders in one version's format.

    Args:
        order_format: `version1.Format` or `version2.Format`.
        now_ms: the clock, unix ms; a part of what version 2 signs.
        random: the source of salts.
    """

    def __init__(self, order_format: OrderFormat, now_ms: Callable[[], int], random: Random) -> None:
        self._format = order_format
        self._now_ms = now_ms
        self._random = random

    @property
    def version(self) -> int:
        """The order version this signs."""
        return self._format.version

    def sign(self, order: Order, terms: OrderTerms) -> SignedOrder:
        """Return `order` signed. The amounts are the order's own, exactly; nothing is fetched.

        Raises:
            RejectedError: for another protocol version, and for amounts the venue would round or refuse.
        """
        if terms.protocol_version not in KNOWN_PROTOCOLS:
            raise RejectedError(
                f"order {order.id}: its market is of protocol version {terms.protocol_version!r} "
                f"(positionIds, another exchange contract); only {', '.join(sorted(KNOWN_PROTOCOLS))} can be signed"
            )
        amounts = amounts_of(order, terms.tick_size)
        # a JSON number: it has to survive readers that hold numbers as doubles
        salt = self._random.getrandbits(52)
        signed = self._format.signed(order, amounts, terms, salt, self._now_ms())
        payload = msgspec.Raw(msgspec.json.encode(signed.payload))
        return SignedOrder(
            order.id,
            signed.order_hash,
            order.order_type,
            self.version,
            payload,
            amounts,
            terms.neg_risk,
            order.post_only,
        )

    def hash_again(self, signed: SignedOrder) -> str:
        """Return the hash of a kept order, computed anew from what was signed.

        Raises:
            RejectedError: when it was signed in another version.
        """
        if signed.version != self.version:
            raise RejectedError(
                f"order {signed.order_id} is of version {signed.version}, this signer of {self.version}"
            )
        payload = msgspec.json.decode(signed.payload, type=dict[str, str | int])
        return self._format.hash_of(payload, neg_risk=signed.neg_risk)


def signer_address(wallet: Wallet) -> str:
    """Return the address of the wallet's key, with its checksum.

    Raises:
        FatalError: when the key is none.
    """
    return str(Account.from_key(key_bytes(wallet.private_key)).address)


def funder_address(wallet: Wallet) -> str:
    """Return the address whose money is used, with its checksum: the maker of every order.

    Raises:
        FatalError: when signature type, funder and key do not go together.
    """
    kind = wallet.signature_type
    if kind not in SIGNATURE_TYPES:
        raise FatalError(
            f"signature type {kind} does not exist: set 0 (EOA), 1 (proxy), 2 (Safe) or 3 (deposit wallet)"
        )
    signer = signer_address(wallet)
    if wallet.funder is None:
        if kind != EOA:
            raise FatalError(f"signature type {kind} needs the funder's address: set the one the venue shows as yours")
        return signer
    text = wallet.funder.strip()
    if len(text) != _ADDRESS_CHARACTERS or not _is_hexadecimal(text):
        raise FatalError(f"funder {text[:8]}... is no address: expected 0x and 40 hexadecimal digits")
    funder = str(to_checksum_address(text))
    if (kind == EOA) != (funder == signer):
        remedy = "unset the funder or set the type it has" if kind == EOA else "set the wallet's address, not the key's"
        raise FatalError(f"signature type {kind} does not go with funder {funder} and signer {signer}: {remedy}")
    return funder


def order_signer(wallet: Wallet) -> str:
    """Return what stands as `signer` in an order: the deposit wallet itself for type 3, else the key's address."""
    return funder_address(wallet) if wallet.signature_type == POLY_1271 else signer_address(wallet)


def _is_hexadecimal(address: str) -> bool:
    return address.startswith("0x") and all(c in "0123456789abcdefABCDEF" for c in address[2:])
