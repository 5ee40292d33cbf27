"""Orders, wallets and answers for the tests of the live venue."""

from random import Random
from typing import Any

from msgspec.structs import replace

from core.trading.orders import Order
from venues.polymarket.credentials import ApiKey, Secret, Wallet
from venues.polymarket.signing import OrderSigner
from venues.polymarket.versions import order_format

PRIVATE_KEY = "0x" + "4c" * 32
WALLET = Wallet(Secret(PRIVATE_KEY))
FUNDER = "0x" + "ab" * 20
API_KEY = ApiKey(Secret("planted-key-0001"), Secret("cGxhbnRlZC1zZWNyZXQtMDAwMg=="), Secret("planted-passphrase-0003"))
NOW_MS = 1_795_421_793_355
TOKEN = "7" * 70
CONDITION = "0x" + "c0" * 32
ORDER = Order("order-1", "intent-1", "BTC", CONDITION, TOKEN, "UP", "BUY", "FOK", 520_000, 10_000_000, NOW_MS, 1)
ASCII_ERROR = {"error": "something the documents do not name"}


def order(**changes: Any) -> Order:
    """Return the usual order, changed."""
    return replace(ORDER, **changes)


def signer(version: int = 2, wallet: Wallet = WALLET, seed: int = 1) -> OrderSigner:
    """Return a signer with a fixed clock and a seeded salt."""
    return OrderSigner(order_format(version, wallet), lambda: NOW_MS, Random(seed))


def posted(order_hash: str, **changes: Any) -> dict[str, Any]:
    """Return the venue's answer to an order that matched."""
    return {
        "success": True,
        "errorMsg": "",
        "orderID": order_hash,
        "takingAmount": "10",
        "makingAmount": "5.2",
        "status": "matched",
        "transactionsHashes": [],
        "tradeIDs": ["trade-1"],
    } | changes


def wire_trade(**changes: Any) -> dict[str, Any]:
    """Return a trade as the venue shows it to its taker."""
    return {
        "id": "trade-1",
        "taker_order_id": "0xAA",
        "market": CONDITION,
        "asset_id": TOKEN,
        "side": "BUY",
        "size": "10",
        "fee_rate_bps": "0",
        "price": "0.52",
        "status": "MATCHED",
        "match_time": "1795421793",
        "last_update": "1795421794",
        "outcome": "Up",
        "bucket_index": 0,
        "owner": "planted-key-0001",
        "maker_address": FUNDER,
        "transaction_hash": "",
        "maker_orders": [
            {
                "order_id": "0xBB",
                "owner": "somebody",
                "maker_address": "0x" + "ee" * 20,
                "matched_amount": "10",
                "price": "0.52",
                "fee_rate_bps": "0",
                "asset_id": TOKEN,
                "outcome": "Up",
                "side": "SELL",
            }
        ],
        "trader_side": "TAKER",
    } | changes
