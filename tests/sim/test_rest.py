"""What the exchange answers over HTTP, in the words of the real venues."""

import json
import time

import pytest

from tests.sim.conftest import MIDNIGHT_S, Served

_OPENS = MIDNIGHT_S + 7_200
_SLUG = f"btc-updown-15m-{_OPENS}"


def _tokens(exchange: Served, slug: str = _SLUG) -> list[str]:
    tokens = json.loads(exchange.get("gamma", f"/markets/slug/{slug}").json()["clobTokenIds"])
    assert isinstance(tokens, list)
    return tokens


def test_gamma_lists_an_open_market_with_the_fields_a_trader_needs(exchange: Served) -> None:
    exchange.clock.set((_OPENS + 300) * 1000)
    event = exchange.get("gamma", f"/events/slug/{_SLUG}").json()
    (market,) = event["markets"]
    assert "eventMetadata" not in event
    assert (market["slug"], market["version"]) == (_SLUG, "v1")
    assert (market["active"], market["closed"], market["acceptingOrders"], market["negRisk"]) == (
        True,
        False,
        True,
        False,
    )
    assert json.loads(market["outcomes"]) == ["Up", "Down"]
    assert sum(map(float, json.loads(market["outcomePrices"]))) == pytest.approx(1)
    tokens = json.loads(market["clobTokenIds"])
    assert [len(token) for token in tokens] == [77, 77]
    assert market["conditionId"].startswith("0x")
    assert len(market["conditionId"]) == 66
    assert (market["eventStartTime"], market["endDate"]) == ("2026-11-23T02:00:00Z", "2026-11-23T02:15:00Z")
    assert market["feeSchedule"] == {"exponent": 1, "rate": 0.07, "takerOnly": True, "rebateRate": 0.2}
    assert market["cryptoMarketConfig"]["twapLookbackSeconds"] == 60
    assert (market["orderMinSize"], market["orderPriceMinTickSize"]) in {(5, 0.01), (5, 0.001)}
    assert exchange.get("gamma", f"/markets/slug/{_SLUG}").json() == market


def test_gamma_states_winner_strike_and_final_price_a_lookback_after_the_close(exchange: Served) -> None:
    exchange.clock.set((_OPENS + 930) * 1000)
    waiting = exchange.get("gamma", f"/events/slug/{_SLUG}").json()
    assert "eventMetadata" not in waiting
    assert (waiting["markets"][0]["closed"], waiting["markets"][0]["acceptingOrders"]) == (False, False)
    exchange.clock.set((_OPENS + 961) * 1000)
    event = exchange.get("gamma", f"/events/slug/{_SLUG}").json()
    (market,) = event["markets"]
    assert (market["closed"], market["umaResolutionStatus"]) == (True, "resolved")
    strike, final = event["eventMetadata"]["priceToBeat"], event["eventMetadata"]["finalPrice"]
    assert json.loads(market["outcomePrices"]) == (["1", "0"] if final >= strike else ["0", "1"])
    assert strike == exchange.world.strike("BTC", _OPENS)


def test_this_windows_final_price_is_the_next_ones_price_to_beat(exchange: Served) -> None:
    exchange.clock.set((_OPENS + 10_000) * 1000)
    first, second = (
        exchange.get("gamma", f"/events/slug/btc-updown-15m-{_OPENS + k}").json()["eventMetadata"] for k in (0, 900)
    )
    assert first["finalPrice"] == second["priceToBeat"]


@pytest.mark.parametrize(
    "slug",
    [
        "nothing",
        f"btc-updown-15m-{_OPENS + 1}",
        f"btc-updown-60s-{_OPENS}",
        f"doge-updown-15m-{_OPENS}",
        f"BTC-updown-15m-{_OPENS}",
        f"btc-updown-15m-{_OPENS + 30 * 86_400}",
        "btc-updown-15m-",
        "btc-updown-15m-²",
        "btc-updown-15m-99999999999999999999",
    ],
)
def test_gamma_knows_no_other_slug(exchange: Served, slug: str) -> None:
    exchange.clock.set(_OPENS * 1000)
    reply = exchange.get("gamma", f"/events/slug/{slug}")
    assert (reply.status_code, reply.json()) == (404, {"type": "not found error", "error": "slug not found"})


def test_tomorrows_window_is_listed_and_has_a_book_once_looked_up(exchange: Served) -> None:
    exchange.clock.set(_OPENS * 1000)
    slug = f"btc-updown-15m-{_OPENS + 86_400}"
    market = exchange.get("gamma", f"/markets/slug/{slug}").json()
    assert (market["active"], market["closed"]) == (True, False)
    assert exchange.get("clob", f"/book?token_id={_tokens(exchange, slug)[0]}").status_code == 200


def test_books_are_listed_best_level_last_and_mirror_each_other(exchange: Served) -> None:
    exchange.clock.set((_OPENS + 200) * 1000)
    up_token, down_token = _tokens(exchange)
    reply = exchange.http.post(
        exchange.urls["clob"] + "/books", json=[{"token_id": up_token}, {"token_id": down_token}, {"token_id": "7"}]
    )
    up, down = reply.json()
    assert list(up)[:6] == ["market", "asset_id", "timestamp", "hash", "bids", "asks"]
    assert (up["asset_id"], up["min_order_size"], up["neg_risk"]) == (up_token, "5", False)
    bids, asks = ([float(level["price"]) for level in up[side]] for side in ("bids", "asks"))
    assert bids == sorted(bids)
    assert asks == sorted(asks, reverse=True)
    assert bids[-1] < asks[-1]
    assert float(down["asks"][-1]["price"]) == pytest.approx(1 - bids[-1])
    assert down["asks"][-1]["size"] == up["bids"][-1]["size"]
    assert all(not level["price"].endswith("0") for level in up["bids"])


def test_terms_ticks_and_the_small_questions(exchange: Served) -> None:
    exchange.clock.set((_OPENS + 200) * 1000)
    up_token, down_token = _tokens(exchange)
    market = exchange.get("clob", f"/markets-by-token/{down_token}").json()
    assert (market["primary_token_id"], market["secondary_token_id"]) == (up_token, down_token)
    terms = exchange.get("clob", f"/clob-markets/{market['condition_id']}").json()
    assert terms["fd"] == {"r": 0.07, "e": 1, "to": True}
    assert terms["t"] == [{"t": up_token, "o": "Up"}, {"t": down_token, "o": "Down"}]
    assert (terms["mos"], terms["itode"]) == (5, True)
    assert exchange.get("clob", f"/tick-size?token_id={up_token}").json() == {"minimum_tick_size": terms["mts"]}
    assert exchange.get("clob", f"/neg-risk?token_id={up_token}").json() == {"neg_risk": False}
    assert exchange.get("clob", f"/fee-rate?token_id={up_token}").json() == {"base_fee": 1000}
    assert exchange.get("clob", "/time").json() == pytest.approx(_OPENS + 200, abs=5)
    assert exchange.get("clob", "/version").json() == {"version": 2}
    assert exchange.get("clob", "/ok").status_code == 200


def test_a_token_has_no_book_when_unknown_or_after_the_resolution(exchange: Served) -> None:
    exchange.clock.set((_OPENS + 200) * 1000)
    token = _tokens(exchange)[0]
    exchange.clock.set((_OPENS + 961) * 1000)
    for unknown in (token, "123", ""):
        reply = exchange.get("clob", f"/book?token_id={unknown}")
        assert reply.status_code == 404
        assert reply.json() == {"error": "No orderbook exists for the requested token id"}


def test_garbage_is_refused_and_the_exchange_lives_on(exchange: Served) -> None:
    assert exchange.http.post(exchange.urls["clob"] + "/books", content=b"\xff{").status_code == 400
    assert exchange.get("binance_rest", "/fapi/v1/klines?symbol=BTCUSDT&interval=1m&limit=x").status_code == 400
    assert exchange.get("binance_rest", "/fapi/v1/klines?symbol=BTCUSDT&interval=1m&limit=0").status_code == 400
    assert exchange.get("binance_rest", "/fapi/v1/klines?symbol=NOPE&interval=1m").json()["code"] == -1121
    assert exchange.get("binance_rest", "/fapi/v1/ping").json() == {}


def test_klines_are_the_trades_of_each_minute_and_the_last_one_is_still_forming(exchange: Served) -> None:
    exchange.clock.set((_OPENS + 90) * 1000)
    rows = exchange.get("binance_rest", "/fapi/v1/klines?symbol=BTCUSDT&interval=1m&limit=5").json()
    assert [row[0] for row in rows] == [(_OPENS + 60 * k) * 1000 for k in range(-3, 2)]
    trades = exchange.world.trades("BTC", _OPENS * 1000, (_OPENS + 60) * 1000)
    full = rows[-2]
    assert len(full) == 12
    assert (float(full[1]), float(full[4])) == (trades.price_usd[0], trades.price_usd[-1])
    assert (float(full[2]), float(full[3])) == (max(trades.price_usd), min(trades.price_usd))
    assert float(full[5]) == pytest.approx(sum(trades.quantity), abs=0.01)
    assert full[8] == len(trades.ids)
    assert full[6] == full[0] + 59_999
    assert rows[-1][8] < len(exchange.world.trades("BTC", rows[-1][0], rows[-1][0] + 60_000).ids)
    start = rows[0][0]
    again = exchange.get("binance_rest", f"/fapi/v1/klines?symbol=BTCUSDT&interval=1m&startTime={start}&limit=3").json()
    assert again == rows[:3]
    assert exchange.get("binance_rest", "/fapi/v1/time").json()["serverTime"] == pytest.approx(
        (_OPENS + 90) * 1000, abs=5_000
    )


def test_a_reply_does_not_wait_for_an_acknowledgement(exchange: Served) -> None:
    taken_s = []
    for _ in range(30):
        began_s = time.perf_counter()
        exchange.get("clob", "/time")
        taken_s.append(time.perf_counter() - began_s)
    assert min(taken_s[1:]) < 0.03, "Nagle's algorithm would hold each reply for 40 ms"
