"""A throw-away wallet for live trading on the embedded exchange, as the settings that name it."""

import hashlib

from eth_account import Account

from config.settings import REAL_MONEY


def private_key(seed: int) -> str:
    """Return the private key of that number: worth nothing anywhere."""
    return "0x" + hashlib.sha256(f"fusebox benchmark wallet {seed}".encode()).hexdigest()


def live_environ(seed: int, trade_size_usd: int = 50) -> dict[str, str]:
    """Return the environment variables that live mode demands; `trade_size_usd` is whole dollars."""
    key = private_key(seed)
    return {
        "FUSEBOX_LIVE_OPT_IN": REAL_MONEY,
        "FUSEBOX_PRIVATE_KEY": key,
        "FUSEBOX_FUNDER": Account.from_key(key).address,
        "FUSEBOX_SIGNATURE_TYPE": "0",
        "FUSEBOX_TRADE_SIZE_USD": str(trade_size_usd),
    }
