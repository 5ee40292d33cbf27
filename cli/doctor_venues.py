"""What `doctor` finds at the public venues: each configured URL over HTTP or websocket, and how far our clock is off.

Asks only what anybody may ask, and sends no order.
"""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import websocket

from cli.doctor_line import Line, note, ok, problem
from cli.exchange import Endpoints
from config.settings import Settings
from core.errors import FuseboxError, RejectedError, TransientError
from core.market.window import window_at
from venues.binance.rest import BinanceRest
from venues.binance.stream import binance_streams, symbol_of
from venues.polymarket.clob import Clob
from venues.polymarket.gamma import Gamma
from venues.polymarket.preflight import read_clock
from venues.stream import USER_AGENT, Stream

WITHIN_S = 5.0
CLOSED = ("HTTP 403", "HTTP 451", "403 Forbidden", "451 ")
NETWORK = "check this host's network, DNS and firewall, and the URL in docs/configuration.md"
COUNTRY = "the venue is closed to this host or its country; nothing here goes around that"
NowMs = Callable[[], int]


def venue_lines(settings: Settings, endpoints: Endpoints, now_ms: NowMs) -> list[Line]:
    """Return what is to be said of each URL. Blocks, `WITHIN_S` for each step at most, all of them at a time."""
    asset = settings.assets[0]
    streams = binance_streams(endpoints.binance_ws, symbol_of(asset), now_ms, routed=settings.profile == "real")
    checks: list[Callable[[], list[Line]]] = [
        partial(_clob, endpoints.clob, settings.max_clock_skew_ms, now_ms),
        partial(_gamma, endpoints.gamma, asset, settings.window_s, now_ms),
        partial(_binance, endpoints.binance_rest, asset, settings.max_clock_skew_ms, now_ms),
        partial(_websocket, "clob websocket", endpoints.clob_ws),
        partial(_websocket, "price websocket", endpoints.price_ws),
        partial(_websocket, "user websocket", endpoints.user_ws),
        *(partial(_pushing, f"binance websocket {number}", stream) for number, stream in enumerate(streams, 1)),
    ]
    with ThreadPoolExecutor(len(checks), thread_name_prefix="doctor") as pool:
        return [line for lines in pool.map(lambda check: check(), checks) for line in lines]


def unchecked_lines(settings: Settings) -> list[Line]:
    """Return what is not looked at in the demo, and why."""
    why = f"not checked: the demo's exchange (world {settings.world}) runs only while `run` does, on this host"
    return [note("venues", why), note("venue clock", "not checked: the demo's exchange has this host's clock")]


def _clob(url: str, most_skew_ms: int, now_ms: NowMs) -> list[Line]:
    clob = Clob(url, timeout_s=WITHIN_S)
    began_s = time.monotonic()
    try:
        skew_ms = read_clock(clob.time_s, now_ms).skew_ms
    except FuseboxError as error:
        return [_failed("clob", url, error)]
    finally:
        clob.close()
    return [_answered("clob", url, began_s), skew_line("venue clock", "Polymarket's", skew_ms, most_skew_ms)]


def _gamma(url: str, asset: str, window_s: int, now_ms: NowMs) -> list[Line]:
    gamma = Gamma(url, timeout_s=WITHIN_S)
    window = window_at(asset, now_ms(), window_s)
    began_s = time.monotonic()
    try:
        market = gamma.market(window)
    except TransientError as error:
        return [_failed("gamma", url, error)]
    except RejectedError as error:
        if any(sign in str(error) for sign in CLOSED):
            return [_failed("gamma", url, error)]
        return [problem("gamma", f"{window.slug}: {error}", "install a newer release, or leave the asset out")]
    finally:
        gamma.close()
    if market is None:
        return [note("gamma", f"{url} answers, and lists no market {window.slug} yet", "look again in a minute")]
    return [_answered("gamma", url, began_s, f", {window.slug} is listed")]


def _binance(url: str, asset: str, most_skew_ms: int, now_ms: NowMs) -> list[Line]:
    rest = BinanceRest(url, now_ms, timeout_s=WITHIN_S)
    began_s = time.monotonic()
    try:
        asked_ms = now_ms()
        theirs_ms = rest.time_ms()
        answered_ms = now_ms()
        rest.klines(symbol_of(asset), 1)
    except FuseboxError as error:
        return [_failed("binance", url, error)]
    finally:
        rest.close()
    skew_ms = max(asked_ms - theirs_ms, 0) or min(answered_ms - theirs_ms, 0)
    return [_answered("binance", url, began_s), skew_line("binance clock", "Binance's", skew_ms, most_skew_ms)]


def _websocket(topic: str, url: str) -> list[Line]:
    began_s = time.monotonic()
    try:
        _connected(url).close()
    except (OSError, websocket.WebSocketException) as error:
        return [_failed(topic, url, error)]
    return [_answered(topic, url, began_s)]


def _pushing(topic: str, stream: Stream) -> list[Line]:
    """Look at a stream that sends without being asked: on a wrong route it connects and stays silent."""
    began_s = time.monotonic()
    try:
        connection = _connected(stream.url)
        try:
            connection.recv()
        finally:
            connection.close()
    except websocket.WebSocketTimeoutException:
        return [problem(topic, f"{stream.url} is silent for {WITHIN_S:g} s", "check FUSEBOX_BINANCE_WS_URL")]
    except (OSError, websocket.WebSocketException) as error:
        return [_failed(topic, stream.url, error)]
    return [_answered(topic, stream.url, began_s, " with data")]


def _connected(url: str) -> websocket.WebSocket:
    return websocket.create_connection(url, timeout=WITHIN_S, header=[f"User-Agent: {USER_AGENT}"])


def _answered(topic: str, url: str, began_s: float, more: str = "") -> Line:
    return ok(topic, f"{url} answers after {(time.monotonic() - began_s) * 1000:.0f} ms{more}")


def _failed(topic: str, url: str, error: Exception) -> Line:
    said = " ".join(str(error).split())[:160] or type(error).__name__
    return problem(topic, f"{url}: {said}", COUNTRY if any(sign in said for sign in CLOSED) else NETWORK)


def skew_line(topic: str, whose: str, skew_ms: int, most_ms: int) -> Line:
    """Return how far our clock is off, positive where it is ahead."""
    if not skew_ms:
        return ok(topic, f"agrees with {whose}, as far as travel times let it be told")
    said = f"ours is {abs(skew_ms) / 1000:.1f} s {'ahead of' if skew_ms > 0 else 'behind'} {whose}"
    if abs(skew_ms) <= most_ms:
        return ok(topic, f"{said}, {most_ms / 1000:g} s allowed")
    return problem(topic, f"{said}, {most_ms / 1000:g} s allowed", "synchronise it (chrony, systemd-timesyncd, sntp)")
