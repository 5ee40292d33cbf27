"""The body of POST /order: both versions of the signed struct, its hash, and who signed it."""

from typing import Literal

import msgspec

from venues.sim.auth.eip712 import Domain, Word, digest, domain_separator, struct_hash, text_hash
from venues.sim.auth.keys import ApiKey
from venues.sim.auth.recovery import Recovery
from venues.sim.auth.requests import CHAIN_ID
from venues.sim.auth.wallets import EOA, POLY_1271, wallets_of
from venues.sim.trading.values import NewOrder, VenueError

EXCHANGES = {
    1: ("0x4bFb41d5B3570DeFd03C39a9A4D8dE6Bd8B8982E", "0xC5d563A36AE78145C45a50134d48A1215220f80a"),
    2: ("0xE111180000d2663C0091e4f400237545B87B996B", "0xe2222d279d744050d28e00520010520000310F59"),
}
"""The contracts that settle orders of each version: for ordinary markets, and for negative-risk ones."""

_TYPES = {
    1: "Order(uint256 salt,address maker,address signer,address taker,uint256 tokenId,uint256 makerAmount,"
    "uint256 takerAmount,uint256 expiration,uint256 nonce,uint256 feeRateBps,uint8 side,uint8 signatureType)",
    2: "Order(uint256 salt,address maker,address signer,uint256 tokenId,uint256 makerAmount,uint256 takerAmount,"
    "uint8 side,uint8 signatureType,uint256 timestamp,bytes32 metadata,bytes32 builder)",
}
_NESTED_TYPE = (
    "TypedDataSign(Order contents,string name,string version,uint256 chainId,address verifyingContract,bytes32 salt)"
)
_SIDES = {"BUY": 0, "SELL": 1}
_WORD = 32
_KEY_SIGNATURE_BYTES = 65
_REFUSED = 400
MALFORMED = "Invalid order payload"


class Terms(msgspec.Struct, frozen=True):
    """What the exchange accepts: orders of one version, and whether only those of deposit wallets."""

    version: Literal[1, 2] = 2
    require_deposit_wallet: bool = False


class SignedOrder(msgspec.Struct, frozen=True, rename="camel"):
    """A signed order as clients send it; version 2 has a timestamp, version 1 a nonce."""

    salt: int
    maker: str
    signer: str
    token_id: str
    maker_amount: str
    taker_amount: str
    side: Literal["BUY", "SELL"]
    signature_type: int
    signature: str
    expiration: str = "0"
    timestamp: str | None = None
    metadata: str = "0x"
    builder: str = "0x"
    taker: str = "0x" + 40 * "0"
    nonce: str = "0"
    fee_rate_bps: str = "0"

    @property
    def version(self) -> int:
        """Which version of the struct this is."""
        return 1 if self.timestamp is None else 2


class Posted(msgspec.Struct, frozen=True, rename="camel"):
    """An order together with whose it is and how to execute it."""

    order: SignedOrder
    owner: str
    order_type: Literal["GTC", "GTD", "FOK", "FAK"]
    post_only: bool = False
    defer_exec: bool = False


_decode_one = msgspec.json.Decoder(Posted).decode
_decode_many = msgspec.json.Decoder(list[Posted]).decode


def decode_order(body: bytes) -> Posted:
    """Return the order in a POST /order. Raises VenueError 400 for anything else."""
    try:
        return _decode_one(body)
    except msgspec.DecodeError:
        raise VenueError(_REFUSED, MALFORMED) from None


def decode_orders(body: bytes) -> list[Posted]:
    """Return the orders in a POST /orders. Raises VenueError 400 for anything else."""
    try:
        return _decode_many(body)
    except msgspec.DecodeError:
        raise VenueError(_REFUSED, MALFORMED) from None


async def verified(posted: Posted, key: ApiKey, terms: Terms, recovery: Recovery, *, neg_risk: bool) -> NewOrder:
    """Return the order with its hash once it is certain that the key's owner signed it, for this exchange and market.

    Raises:
        VenueError: 400 with the venue's text: another version, owner, signer or wallet, a signature that is not the
            signer's, or what is no order at all.
    """
    order = posted.order
    if order.version != terms.version:
        raise VenueError(_REFUSED, "order_version_mismatch")
    if posted.owner != key.api_key:
        raise VenueError(_REFUSED, "the order owner has to be the owner of the API KEY")
    if posted.post_only and posted.order_type in {"FOK", "FAK"}:
        raise VenueError(_REFUSED, MALFORMED)
    _check_wallet(order, key, terms)
    try:
        hashed = struct_hash(_TYPES[order.version], _members(order))
        signature = bytes.fromhex(order.signature.removeprefix("0x"))
        amounts = int(order.maker_amount), int(order.taker_amount), int(order.expiration), int(order.nonce)
    except ValueError:
        raise VenueError(_REFUSED, MALFORMED) from None
    separator = domain_separator(
        Domain("Polymarket CTF Exchange", str(order.version), CHAIN_ID, EXCHANGES[order.version][neg_risk])
    )
    signed: bytes | None = digest(separator, hashed)
    order_id = "0x" + digest(separator, hashed).hex()
    if order.signature_type == POLY_1271:
        signed = _nested_digest(order.signer, separator, hashed, signature)
        signature = signature[:_KEY_SIGNATURE_BYTES]
    if signed is None or await recovery.signer(signed, signature) != key.address:
        raise VenueError(_REFUSED, "invalid signature")
    maker_amount, taker_amount, expiration_s, nonce = amounts
    if nonce != 0:  # no account here has ever raised its nonce on the chain
        raise VenueError(_REFUSED, "invalid nonce")
    return NewOrder(
        order_id=order_id,
        owner=key.api_key,
        account=order.maker.lower(),
        signer=order.signer.lower(),
        token_id=order.token_id,
        side=order.side,
        maker_amount=maker_amount,
        taker_amount=taker_amount,
        expiration_s=expiration_s,
        order_type=posted.order_type,
        post_only=posted.post_only,
        defer_exec=posted.defer_exec,
    )


def _check_wallet(order: SignedOrder, key: ApiKey, terms: Terms) -> None:
    """Raise VenueError unless maker and signer are what the order's signature type makes of the key's owner."""
    wallets = wallets_of(key.address)
    is_deposit = order.signature_type == POLY_1271 and terms.version > 1
    if order.signer.lower() != (wallets.deposit if is_deposit else key.address):
        raise VenueError(_REFUSED, "the order signer address has to be the address of the API KEY")
    if not EOA <= order.signature_type <= POLY_1271:
        raise VenueError(_REFUSED, MALFORMED)
    foreign = order.maker.lower() != wallets.of_type(order.signature_type)
    if terms.require_deposit_wallet and (order.signature_type == EOA or (foreign and not is_deposit)):
        raise VenueError(_REFUSED, "maker address not allowed, please use the deposit wallet flow")
    if foreign:
        raise VenueError(_REFUSED, "invalid signature")


def _members(order: SignedOrder) -> list[Word]:
    """Return the struct's members in the order of its type. Raises ValueError for text that is no number."""
    amounts: list[Word] = [int(order.token_id), int(order.maker_amount), int(order.taker_amount)]
    kind: list[Word] = [_SIDES[order.side], order.signature_type]
    if order.timestamp is None:
        times: list[Word] = [int(order.expiration), int(order.nonce), int(order.fee_rate_bps)]
        return [order.salt, order.maker, order.signer, order.taker, *amounts, *times, *kind]
    tail: list[Word] = [int(order.timestamp), _bytes32(order.metadata), _bytes32(order.builder)]
    return [order.salt, order.maker, order.signer, *amounts, *kind, *tail]


def _nested_digest(wallet: str, separator: bytes, hashed: bytes, signature: bytes) -> bytes | None:
    """Return what the owner of a deposit wallet signs (ERC-7739), None when what follows their signature is amiss.

    The order is nested in a struct that names the wallet; its signature is followed by the exchange's domain, the
    order's hash, its type and that type's length, so that the wallet's contract can rebuild the digest.
    """
    contents_type = _TYPES[2].encode()
    trailer = separator + hashed + contents_type + len(contents_type).to_bytes(2, "big")
    if signature[_KEY_SIGNATURE_BYTES:] != trailer:
        return None
    members: list[Word] = [
        *(hashed, text_hash("DepositWallet"), text_hash("1"), CHAIN_ID, wallet),
        bytes(_WORD),
    ]
    return digest(separator, struct_hash(_NESTED_TYPE + _TYPES[2], members))


def _bytes32(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x")).rjust(_WORD, b"\0")
