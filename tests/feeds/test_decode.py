"""Decoders: every real sample is understood, numbers are exact, and garbage raises one kind of error only."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.market.events import (
    BestBidAsk,
    BookSnapshot,
    BookTicker,
    Kline,
    LastTrade,
    MarketResolved,
    PriceChange,
    SettlementPrice,
    TickSizeChange,
    Trade,
)
from core.trading.money import micros
from venues.binance.decode import decode_binance_frame
from venues.polymarket.decode import decode_market_frame
from venues.polymarket.numbers import parse_micros
from venues.polymarket.prices import decode_prices_frame
from venues.transport import BadFrameError, DecodedFrame

DECODERS = (decode_market_frame, decode_prices_frame, decode_binance_frame)
SAMPLES = {
    "book.json": BookSnapshot,
    "clob_book_response.json": BookSnapshot,
    "last_trade_price.json": LastTrade,
    "price_change.json": PriceChange,
    "price_change_v2.json": PriceChange,
    "tick_size_change.json": TickSizeChange,
    "ws_book_snapshot.json": BookSnapshot,
    "ws_last_trade.json": LastTrade,
    "ws_market_best_bid_ask_msg.json": BestBidAsk,
    "ws_market_book_msg.json": BookSnapshot,
    "ws_market_last_trade_msg.json": LastTrade,
    "ws_market_price_change_msg.json": PriceChange,
    "ws_market_resolved_msg.json": MarketResolved,
    "ws_market_tick_size_msg.json": TickSizeChange,
    "ws_quotes.json": PriceChange,
    "ws_tick_size_change.json": TickSizeChange,
}


@pytest.mark.parametrize(("name", "kind"), SAMPLES.items())
def test_each_market_sample_gives_its_event(recordings: Path, name: str, kind: type) -> None:
    decoded = decode_market_frame((recordings / "payloads" / "nautilus_trader" / name).read_bytes())
    assert [type(event) for event in decoded.events] == [kind]
    assert decoded.unknown == ()


def test_a_new_market_is_known_and_gives_nothing(recordings: Path) -> None:
    path = recordings / "payloads" / "nautilus_trader" / "ws_market_new_market_msg.json"
    decoded = decode_market_frame(path.read_bytes())
    assert (decoded.events, decoded.unknown) == ((), ())


def test_every_level_of_a_real_book_is_exact(recordings: Path) -> None:
    data = (recordings / "payloads" / "nautilus_trader" / "book.json").read_bytes()
    raw = msgspec.json.decode(data)
    book = decode_market_frame(data).events[0]
    assert isinstance(book, BookSnapshot)
    for side, levels in (("bids", book.bids), ("asks", book.asks)):
        assert levels == tuple((micros(level["price"]), micros(level["size"])) for level in raw[side])


def test_an_array_is_as_many_events_and_unknown_types_are_named() -> None:
    frame = (
        b'[{"event_type":"best_bid_ask","asset_id":"1","best_bid":".48","best_ask":"0.52","timestamp":"1703875200000"},'
        b'{"event_type":"halt","asset_id":"1"}]'
    )
    decoded = decode_market_frame(frame)
    assert decoded.events == (BestBidAsk("1", 480_000, 520_000, 1_703_875_200_000),)
    assert decoded.unknown == ("halt",)


def test_an_unknown_type_with_fields_of_other_types_is_named_not_bad() -> None:
    assert decode_market_frame(b'{"event_type":"auction","price":[1,2]}').unknown == ("auction",)


def test_an_empty_side_of_the_touch_is_none() -> None:
    frame = '{"event_type":"best_bid_ask","asset_id":"1","best_bid":"0","best_ask":"1","timestamp":"1"}'
    assert decode_market_frame(frame).events == (BestBidAsk("1", None, None, 1),)


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"PONGG",
        b"{",
        b"{}",
        b"[1]",
        b"\xff\xfe",
        b'{"event_type":"book"}',
        b'{"event_type":"book","asset_id":"1","bids":[{"price":"nan","size":"1"}],"asks":[]}',
        b'{"event_type":"book","asset_id":"1","bids":[{"price":"1e9","size":"1"}],"asks":[]}',
        b'{"event_type":"price_change"}',
        b'{"event_type":"price_change","price_changes":[{"asset_id":"1","price":"0.5","size":"1","side":"HOLD"}]}',
        b'{"event_type":"last_trade_price","asset_id":"1"}',
        b'{"event_type":"tick_size_change","asset_id":"1"}',
        b'{"event_type":"market_resolved","market":"0x1"}',
        b'{"event_type":"best_bid_ask"}',
    ],
)
def test_a_broken_market_frame_raises_and_says_why(frame: bytes) -> None:
    with pytest.raises(BadFrameError, match=r"\w+"):
        decode_market_frame(frame)


def _frames() -> st.SearchStrategy[bytes]:
    values = st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=6) | st.sampled_from(["0.5", "BUY", "book"]),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
        max_leaves=8,
    )
    keys = st.sampled_from(
        [
            "event_type",
            "asset_id",
            "bids",
            "asks",
            "price_changes",
            "timestamp",
            "e",
            "data",
            "stream",
            "k",
            "p",
            "topic",
        ]
    )
    return st.binary(max_size=40) | st.dictionaries(keys, values, max_size=6).map(msgspec.json.encode)


@settings(deadline=None)
@given(frame=_frames(), decode=st.sampled_from(DECODERS))
def test_whatever_comes_is_decoded_or_raises_bad_frame(frame: bytes, decode: Callable[[bytes], DecodedFrame]) -> None:
    with suppress(BadFrameError):
        assert decode(frame).events is not None


@settings(deadline=None)
@given(st.integers(-(10**12), 10**12), st.integers(0, 6))
def test_plain_decimals_are_read_exactly(value: int, zeros: int) -> None:
    sign, digits = "-" if value < 0 else "", f"{abs(value):07d}"
    assert parse_micros(f"{sign}{digits[:-6]}.{digits[-6:]}{'0' * zeros}") == value


@pytest.mark.parametrize(("text", "value"), [(".48", 480_000), ("0.1", 100_000), ("7", 7_000_000), ("0.", 0)])
def test_the_venues_short_forms_are_read(text: str, value: int) -> None:
    assert parse_micros(text) == value


@pytest.mark.parametrize("text", ["", ".", "-", "1e3", "NaN", "inf", "1_000", " 1", "0x1", "1.2.3", "\u0661", "+1"])
def test_what_is_no_plain_decimal_is_refused(text: str) -> None:
    with pytest.raises(BadFrameError):
        parse_micros(text)


def test_binance_trades_touches_and_candles_are_read() -> None:
    trade = b'{"stream":"btcusdt@aggTrade","data":{"e":"aggTrade","E":5,"s":"BTCUSDT","a":1,"p":"61800.30","q":"0.006","T":4,"m":true}}'  # noqa: E501
    assert decode_binance_frame(trade).events == (Trade("BTCUSDT", 61800.30, 0.006, True, 4),)  # noqa: FBT003
    touch = b'{"e":"bookTicker","u":5,"s":"BTCUSDT","b":"1.5","B":"2","a":"1.6","A":"3","T":7,"E":8}'
    assert decode_binance_frame(touch).events == (BookTicker("BTCUSDT", 1.5, 2.0, 1.6, 3.0, 7),)
    spot = b'{"stream":"btcusdt@bookTicker","data":{"u":5,"s":"BTCUSDT","b":"1.5","B":"2","a":"1.6","A":"3"}}'
    assert decode_binance_frame(spot).events == (BookTicker("BTCUSDT", 1.5, 2.0, 1.6, 3.0, 0),)
    candle = b'{"stream":"btcusdt@kline_1m","data":{"e":"kline","E":9,"s":"BTCUSDT","k":{"t":0,"T":59999,"i":"1m","o":"1","c":"3","h":"4","l":"0.5","v":"10","V":"6","x":false}}}'  # noqa: E501
    expected = Kline("BTCUSDT", 0, 59_999, 1.0, 4.0, 0.5, 3.0, 10.0, 6.0, closed=False, venue_ms=9)
    assert decode_binance_frame(candle).events == (expected,)


@pytest.mark.parametrize(
    "frame",
    [
        b'{"result":null,"id":1}',
        b'{"stream":"btcusdt@depth@0ms","data":{"e":"depthUpdate","b":[]}}',
        b'{"e":"trade","s":"BTCUSDT","p":"1","q":"1","T":1,"m":true,"X":"INSURANCE_FUND"}',
    ],
)
def test_binance_frames_that_are_no_flow_give_nothing(frame: bytes) -> None:
    decoded = decode_binance_frame(frame)
    assert (decoded.events, decoded.unknown) == ((), ())


@pytest.mark.parametrize("price", ["0", "-1", "NaN", "Infinity", "1e300", "x"])
def test_a_binance_price_that_is_none_is_refused(price: str) -> None:
    frame = f'{{"e":"aggTrade","s":"BTCUSDT","p":"{price}","q":"1","T":4,"m":true}}'
    with pytest.raises(BadFrameError):
        decode_binance_frame(frame)


def test_price_ticks_carry_the_lookback_that_the_frame_states() -> None:
    twap = (
        b'{"topic":"crypto_prices_twap_sixty","type":"update","timestamp":2,'
        b'"payload":{"symbol":"btc/usd","value":65000.5,"timestamp":1,"window_s":4}}'
    )
    assert decode_prices_frame(twap).events == (SettlementPrice("BTC", 65000.5, 1, 4),)
    assert decode_prices_frame(twap.replace(b',"window_s":4', b"")).events == (SettlementPrice("BTC", 65000.5, 1, 60),)
    spot = b'{"topic":"crypto_prices_chainlink","type":"update","payload":{"symbol":"eth/usd","value":3,"timestamp":1}}'
    assert decode_prices_frame(spot).events == (SettlementPrice("ETH", 3.0, 1, None),)


def test_binance_prices_on_the_price_stream_are_no_settlement_prices(recordings: Path) -> None:
    folder = recordings / "payloads" / "nautilus_trader"
    for name in ("rtds_crypto_prices_update.json", "rtds_crypto_prices_subscribe.json"):
        assert decode_prices_frame((folder / name).read_bytes()).events == ()
    assert decode_prices_frame((folder / "rtds_equity_prices_update.json").read_bytes()).unknown == ("equity_prices",)
