"""The two sets of defaults: `demo` trades on an embedded exchange, `real` on the public venues."""

from collections.abc import Mapping

DEMO: Mapping[str, object] = {
    "window_s": 60,
    "hold_to_settlement": ("XRP",),  # so that every way a position can end is seen: signal, T-2 exit, settlement
    "dashboard": True,
}

REAL: Mapping[str, object] = {
    "window_s": 900,
    "gamma_url": "https://gamma-api.polymarket.com",
    "clob_url": "https://clob.polymarket.com",
    "clob_ws_url": "wss://ws-subscriptions-clob.polymarket.com/ws/market",
    "user_ws_url": "wss://ws-subscriptions-clob.polymarket.com/ws/user",
    "price_ws_url": "wss://ws-live-data.polymarket.com",
    "binance_rest_url": "https://fapi.binance.com",
    "binance_ws_url": "wss://fstream.binance.com",
}

PROFILES: Mapping[str, Mapping[str, object]] = {"demo": DEMO, "real": REAL}
