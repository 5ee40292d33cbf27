"""The command `python -m venues.sim`: flags, a port, one JSON line with the addresses, and serving."""

import argparse
import os
import sys
import time
from collections.abc import Sequence

import msgspec

from venues.sim.app import addresses
from venues.sim.exchange import make_exchange
from venues.sim.server import listen, serve, warm
from venues.sim.world.variants import ASSETS, VARIANTS

_BAD_FLAGS, _NO_PORT = 2, 1
_HIGHEST_PORT = 65_535


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> None:  # type: ignore[override]  # argparse exits here; one line instead of two
        """Say what is wrong in one line and exit 2."""
        sys.stderr.write(f"venues.sim: {message}\n")
        raise SystemExit(_BAD_FLAGS)


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port <= _HIGHEST_PORT:
        raise argparse.ArgumentTypeError(f"a port lies between 0 and {_HIGHEST_PORT}, not {port}")
    return port


def _window(text: str) -> int:
    seconds = int(text)
    if not 1 <= seconds <= 86_400 or 86_400 % seconds:  # noqa: PLR2004 - the seconds of a day
        raise argparse.ArgumentTypeError(f"a window divides the day evenly, {seconds} s does not")
    return seconds


def _assets(text: str) -> tuple[str, ...]:
    assets = tuple(dict.fromkeys(part.strip().upper() for part in text.split(",") if part.strip()))
    unknown = [asset for asset in assets if asset not in ASSETS]
    if unknown or not assets:
        raise argparse.ArgumentTypeError(f"choose from {','.join(ASSETS)}, not {text!r}")
    return assets


def parser() -> argparse.ArgumentParser:
    """Return the command's flags."""
    flags = _Parser(
        prog="python -m venues.sim", description="An exchange that speaks Polymarket's and Binance's protocols."
    )
    flags.add_argument("--port", type=_port, default=0, help="port to listen on; 0 picks a free one")
    flags.add_argument("--seed", type=int, default=1, help="the world's seed: prices, books and winners follow from it")
    flags.add_argument("--window-s", type=_window, default=900, help="seconds from a market's open to its close")
    flags.add_argument(
        "--world", choices=sorted(VARIANTS), default="today", help="how late the slow venue's makers are"
    )
    flags.add_argument("--assets", type=_assets, default=tuple(ASSETS), help="comma-separated, such as BTC,ETH")
    flags.add_argument("--host", default="127.0.0.1", help="address to listen on")
    flags.add_argument("--exit-with-stdin", action="store_true", help="exit when standard input ends")
    return flags


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the exchange and return its exit code: 0 after a signal or the end of stdin, 1 when the port is taken."""
    flags = parser().parse_args(arguments)
    exchange = make_exchange(flags.seed, flags.world, flags.window_s, flags.assets, lambda: time.time_ns() // 1_000_000)
    try:
        listener = listen(flags.host, flags.port)
    except OSError as error:
        sys.stderr.write(f"venues.sim: cannot listen on {flags.host}:{flags.port}: {error.strerror}\n")
        return _NO_PORT
    warm(exchange, exchange.now_ms())
    line = addresses(flags.host, listener.getsockname()[1]) | {
        "world": flags.world,
        "seed": flags.seed,
        "window_s": flags.window_s,
        "pid": os.getpid(),
    }

    def announce() -> None:
        sys.stdout.write(msgspec.json.encode(line).decode() + "\n")
        sys.stdout.flush()

    serve(exchange, listener, announce, exit_with_stdin=flags.exit_with_stdin)
    return 0
