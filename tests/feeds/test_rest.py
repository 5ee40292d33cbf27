"""REST clients against a real local server: every answer and every failure becomes what its name says."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import msgspec
import pytest

from core.errors import RejectedError, TransientError
from core.market.market import FeeSchedule
from core.market.window import Window
from venues.binance.rest import BinanceRest
from venues.polymarket.clob import Clob
from venues.polymarket.gamma import Gamma, GammaMarket, Outcome, market_of, winner_of
from venues.recordings.lines import read_lines
from venues.rest import NotFoundError, Rest
from venues.transport import BadFrameError

WINDOW = Window("BTC", 1_776_727_800, 900)


class Server:
    """Answers each path with a prepared status and body; `held` requests wait until the server is closed."""

    def __init__(self) -> None:
        self.answers: dict[str, tuple[int, bytes]] = {}
        self.agents: list[str] = []
        self.closing = threading.Event()
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.agents.append(self.headers["User-Agent"])
                path = self.path.partition("?")[0]
                if path == "/held":
                    server.closing.wait(10)
                    return
                status, body = server.answers.get(path, (404, b'{"error":"not found"}'))
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,))
        self._thread.start()

    def answer(self, path: str, body: Any, status: int = 200) -> None:
        """Prepare what `path` answers."""
        self.answers[path] = (status, body if isinstance(body, bytes) else json.dumps(body).encode())

    def close(self) -> None:
        """Release held requests and stop."""
        self.closing.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()


@pytest.fixture
def server() -> Iterator[Server]:
    running = Server()
    yield running
    running.close()


@pytest.fixture
def gamma(server: Server) -> Iterator[Gamma]:
    client = Gamma(server.url)
    yield client
    client.close()


@pytest.fixture
def gamma_market(recordings: Path) -> dict[str, Any]:
    line = next(read_lines(recordings / "payloads" / "gamma-markets-15m.jsonl.gz"))
    market: dict[str, Any] = msgspec.json.decode(line)
    assert market["slug"] == WINDOW.slug
    return market


def serve(server: Server, market: dict[str, Any], **event: Any) -> None:
    server.answer(f"/events/slug/{WINDOW.slug}", {"slug": WINDOW.slug, "markets": [market], **event})


def test_a_real_listed_market_is_read(server: Server, gamma: Gamma, gamma_market: dict[str, Any]) -> None:
    serve(server, gamma_market)
    market = gamma.market(WINDOW)
    assert market is not None
    up, down = json.loads(gamma_market["clobTokenIds"])
    assert (market.up_token, market.down_token) == (up, down)
    assert market.condition_id == gamma_market["conditionId"]
    assert (market.tick_size, market.min_order_shares) == (10_000, 5_000_000)
    assert market.fees == FeeSchedule(0.072, 1, taker_only=True)
    assert market.window == WINDOW
    assert server.agents[-1].startswith("fusebox")


def test_tokens_follow_the_outcomes_also_when_down_comes_first(
    server: Server, gamma: Gamma, gamma_market: dict[str, Any]
) -> None:
    serve(server, gamma_market | {"outcomes": '["Down", "Up"]'})
    market = gamma.market(WINDOW)
    assert market is not None
    assert [market.down_token, market.up_token] == json.loads(gamma_market["clobTokenIds"])


def test_all_recorded_markets_are_read(recordings: Path, server: Server, gamma: Gamma) -> None:
    count = 0
    for line in read_lines(recordings / "payloads" / "gamma-markets-15m.jsonl.gz"):
        wire = msgspec.json.decode(line)
        asset, start = wire["slug"].split("-")[0], int(wire["slug"].rsplit("-", 1)[1])
        window = Window(asset.upper(), start, 900)
        server.answer(f"/events/slug/{window.slug}", {"slug": window.slug, "markets": [wire]})
        market = gamma.market(window)
        assert market is not None
        assert market.condition_id == wire["conditionId"]
        count += 1
        if count == 40:
            break
    assert count == 40


def test_a_window_that_is_not_listed_or_has_no_tokens_yet_is_none(
    server: Server, gamma: Gamma, gamma_market: dict[str, Any]
) -> None:
    assert gamma.market(WINDOW) is None
    serve(server, gamma_market | {"clobTokenIds": '["", ""]'})
    assert gamma.market(WINDOW) is None


def test_another_protocol_version_is_refused_by_name(
    server: Server, gamma: Gamma, gamma_market: dict[str, Any]
) -> None:
    serve(server, gamma_market | {"version": "v2", "positionIds": ["1", "2"]})
    with pytest.raises(RejectedError, match="'v2'"):
        gamma.market(WINDOW)


def test_a_market_of_tomorrow_under_the_asked_slug_is_refused(
    server: Server, gamma: Gamma, gamma_market: dict[str, Any]
) -> None:
    tomorrow = {"eventStartTime": "2026-04-21T23:30:00Z", "endDate": "2026-04-21T23:45:00Z"}
    serve(server, gamma_market | tomorrow)
    with pytest.raises(RejectedError, match="is not the window"):
        gamma.market(WINDOW)


def test_a_market_without_fee_schedule_has_none(server: Server, gamma: Gamma, gamma_market: dict[str, Any]) -> None:
    del gamma_market["feeSchedule"]
    serve(server, gamma_market)
    market = gamma.market(WINDOW)
    assert market is not None
    assert market.fees is None


@pytest.mark.parametrize(
    ("closed", "prices", "outcomes", "winner"),
    [
        (True, '["1", "0"]', '["Up", "Down"]', "UP"),
        (True, '["0", "1"]', '["Up", "Down"]', "DOWN"),
        (True, '["1", "0"]', '["Down", "Up"]', "DOWN"),
        (True, '["0.9995", "0.0005"]', '["Up", "Down"]', None),
        (True, '["0.5", "0.5"]', '["Up", "Down"]', None),
        (True, '["0", "0"]', '["Up", "Down"]', None),
        (False, '["1", "0"]', '["Up", "Down"]', None),
    ],
)
def test_a_winner_is_known_only_when_closed_at_exactly_one_and_zero(
    server: Server, gamma: Gamma, gamma_market: dict[str, Any], closed: Any, prices: str, outcomes: str, winner: str
) -> None:
    serve(server, gamma_market | {"closed": closed, "outcomePrices": prices, "outcomes": outcomes})
    assert gamma.outcome(WINDOW.slug).winner == winner


def test_all_recorded_closed_markets_have_the_winner_that_was_noted_with_them(recordings: Path) -> None:
    lines = read_lines(recordings / "chainlink-outcomes-5m" / "BTC-5m-markets-2026-06-08.jsonl.gz")
    winners: list[str | None] = []
    for line in lines:
        noted = msgspec.json.decode(line)
        wire = msgspec.convert(noted["raw"], GammaMarket)
        winners.append(winner_of(wire))
        assert winners[-1] == ("UP" if noted["outcome_prices"] == ["1", "0"] else "DOWN")
        market = market_of(wire, Window("BTC", noted["start_sec"], 300))
        assert market is not None
        assert [market.up_token, market.down_token] == noted["token_ids"]
    assert len(winners) == 292
    assert set(winners) == {"UP", "DOWN"}


def test_strike_and_final_come_from_the_events_metadata(
    server: Server, gamma: Gamma, gamma_market: dict[str, Any]
) -> None:
    assert gamma.outcome(WINDOW.slug) == Outcome(None, None, None)
    serve(server, gamma_market, eventMetadata={"priceToBeat": 75000.5, "finalPrice": 75001.25})
    assert gamma.outcome(WINDOW.slug) == Outcome(None, 75000.5, 75001.25)


def test_the_clob_states_book_tick_rules_and_time(server: Server, recordings: Path) -> None:
    book = (recordings / "payloads" / "nautilus_trader" / "clob_book_response.json").read_bytes()
    server.answer("/book", book)
    server.answer("/tick-size", {"minimum_tick_size": 0.001})
    server.answer("/time", b"1776727800")
    rules = {"c": "0xc0", "t": [{"t": "1", "o": "Up"}, {"t": "2", "o": "Down"}], "mos": 5, "mts": 0.01, "itode": True}
    server.answer("/clob-markets/0xc0", rules | {"fd": {"r": 0.07, "e": 1, "to": True}})
    server.answer("/clob-markets/0xc1", rules)
    clob = Clob(server.url)
    snapshot = clob.book("12345678901234567890")
    assert (max(snapshot.bids)[0], min(snapshot.asks)[0]) == (500_000, 510_000)
    assert clob.tick_size("1") == 1_000
    assert clob.time_s() == 1_776_727_800
    market = clob.market("0xc0")
    assert market.fees == FeeSchedule(0.07, 1, taker_only=True)
    assert (market.min_order_shares, market.tick_size, market.has_taker_delay) == (5_000_000, 10_000, True)
    assert clob.market("0xc1").fees is None
    with pytest.raises(NotFoundError, match="404"):
        clob.market("0xunknown")
    with pytest.raises(BadFrameError, match="asked for token 7"):
        clob.book("7")
    clob.close()


def test_binance_candles_are_read_and_the_last_one_is_forming(server: Server) -> None:
    row = [0, "1.0", "4.0", "0.5", "3.0", "10.0", 59_999, "30.0", 7, "6.0", "18.0", "0"]
    server.answer("/fapi/v1/klines", [row, [60_000, *row[1:6], 119_999, *row[7:]]])
    server.answer("/fapi/v1/time", {"serverTime": 61_000})
    client = BinanceRest(server.url, lambda: 61_000)
    first, last = client.klines("BTCUSDT", 2)
    assert (first.open, first.high, first.low, first.close, first.volume) == (1.0, 4.0, 0.5, 3.0, 10.0)
    assert (first.taker_buy_volume, first.closed, last.closed, last.opens_ms) == (6.0, True, False, 60_000)
    assert client.time_ms() == 61_000
    server.answer("/fapi/v1/klines", [[1, 2]])
    with pytest.raises(BadFrameError, match="2 fields"):
        client.klines("BTCUSDT", 2)
    client.close()


@pytest.mark.parametrize(
    ("status", "error"),
    [(500, TransientError), (503, TransientError), (429, TransientError), (425, TransientError), (403, RejectedError)],
)
def test_a_refusal_says_whether_to_try_again(server: Server, status: int, error: type[Exception]) -> None:
    server.answer("/x", {"error": "because"}, status)
    rest = Rest(server.url)
    with pytest.raises(error, match=f"HTTP {status}.*because"):
        rest.get("/x", dict[str, str])
    rest.close()


def test_garbage_is_transient_and_another_shape_is_a_bad_frame(server: Server) -> None:
    rest = Rest(server.url)
    server.answer("/x", b"<html>one moment</html>")
    with pytest.raises(TransientError, match="not JSON"):
        rest.get("/x", dict[str, str])
    server.answer("/x", [1])
    with pytest.raises(BadFrameError, match="another shape"):
        rest.get("/x", dict[str, str])
    rest.close()


def test_a_server_that_does_not_answer_or_is_not_there_is_transient(server: Server) -> None:
    rest = Rest(server.url, timeout_s=0.2)
    with pytest.raises(TransientError, match="Timeout"):
        rest.get("/held", int)
    rest.close()
    nobody = Rest("http://127.0.0.1:9", timeout_s=0.5)
    with pytest.raises(TransientError, match="ConnectError"):
        nobody.get("/x", int)
    nobody.close()


def test_a_url_of_another_kind_is_refused() -> None:
    with pytest.raises(RejectedError, match="no web URL"):
        Rest("gamma-api.polymarket.com")
