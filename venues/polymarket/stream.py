"""The market channel: books, deltas and trades of one market's two tokens."""

from collections.abc import Callable
from random import Random

import msgspec

from core.market.market import Market
from venues.polymarket.decode import decode_market_frame
from venues.stream import Stream, StreamTimings

MARKET_PING_S = 10.0


def market_stream(
    url: str,
    market: Market,
    now_ms: Callable[[], int],
    *,
    silence_s: float = 30.0,
    timings: StreamTimings | None = None,
    random: Random | None = None,
) -> Stream:
    """Return the stream of `market`'s two tokens from the channel at `url` (`wss://…/ws/market`).

    Args:
        url: the market channel.
        market: whose tokens to subscribe.
        now_ms: the clock for receipt stamps, unix ms.
        silence_s: seconds without an event after which the connection is replaced.
        timings: all waits, in place of `silence_s` and the venue's 10 s ping.
        random: the source of backoff jitter.

    Raises:
        RejectedError: when `url` is no websocket URL.
    """
    subscription = msgspec.json.encode(
        {
            "assets_ids": [market.up_token, market.down_token],
            "type": "market",
            "custom_feature_enabled": True,
            "initial_dump": True,
            "level": 2,
        }
    ).decode()
    waits = timings or StreamTimings(silence_s=silence_s, ping_every_s=MARKET_PING_S)
    return Stream(url, (subscription,), decode_market_frame, now_ms, waits, random=random)
