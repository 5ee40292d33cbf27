"""The command `python -m venues.sim`: flags, a port, one JSON line with the addresses, and serving."""

import argparse
import os
import sys
import time
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path

import msgspec

from venues.sim.app import addresses
from venues.sim.auth.orders import Terms
from venues.sim.exchange import Operation, make_exchange
from venues.sim.faults import FaultPlan
from venues.sim.rest.admin import named_plan
from venues.sim.server import listen, serve, warm
from venues.sim.trading.values import TradingRules
from venues.sim.world.variants import ASSETS, VARIANTS

_BAD_FLAGS, _NO_PORT = 2, 1
_HIGHEST_PORT = 65_535
_MICRO, _MOST_DOLLARS = 1_000_000, 1_000_000_000
_LONGEST_DELAY_MS = 60_000


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> None:  # type: ignore[override]  # argparse exits here; one line instead of two
        """Say what is wrong in one line and exit 2."""
        sys.stderr.write(f"venues.sim: {message}\n")
        raise SystemExit(_BAD_FLAGS)


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"a whole number is needed, not {text!r}") from None


def _port(text: str) -> int:
    port = _whole(text)
    if not 0 <= port <= _HIGHEST_PORT:
        raise argparse.ArgumentTypeError(f"a port lies between 0 and {_HIGHEST_PORT}, not {port}")
    return port


def _window(text: str) -> int:
    seconds = _whole(text)
    if not 1 <= seconds <= 86_400 or 86_400 % seconds:  # noqa: PLR2004 - the seconds of a day
        raise argparse.ArgumentTypeError(f"a window divides the day evenly, {seconds} s does not")
    return seconds


def _assets(text: str) -> tuple[str, ...]:
    assets = tuple(dict.fromkeys(part.strip().upper() for part in text.split(",") if part.strip()))
    unknown = [asset for asset in assets if asset not in ASSETS]
    if unknown or not assets:
        raise argparse.ArgumentTypeError(f"choose from {','.join(ASSETS)}, not {text!r}")
    return assets


def _dollars(text: str) -> int:
    """Return an amount in 1e-6 dollars."""
    try:
        dollars = Decimal(text)
    except InvalidOperation:
        raise argparse.ArgumentTypeError(f"a deposit is a number of dollars, not {text!r}") from None
    if not (dollars.is_finite() and 0 <= dollars <= _MOST_DOLLARS and dollars * _MICRO % 1 == 0):
        raise argparse.ArgumentTypeError(
            f"a deposit lies between 0 and {_MOST_DOLLARS} dollars in millionths, not {text}"
        )
    return int(dollars * _MICRO)


def _delay(text: str) -> int:
    delay_ms = _whole(text)
    if not 0 <= delay_ms <= _LONGEST_DELAY_MS:
        raise argparse.ArgumentTypeError(f"a taker delay lies between 0 and {_LONGEST_DELAY_MS} ms, not {text}")
    return delay_ms


def _ledger(text: str) -> Path:
    file = Path(text)
    if file.is_dir() or not file.resolve().parent.is_dir():
        raise argparse.ArgumentTypeError(f"a ledger is a file in a folder that exists, {text!r} is not")
    return file


def parser() -> argparse.ArgumentParser:
    """Return the command's flags."""
    flags = _Parser(
        prog="python -m venues.sim", description="An exchange that speaks Polymarket's and Binance's protocols."
    )
    flags.add_argument("--port", type=_port, default=0, help="port to listen on; 0 picks a free one")
    flags.add_argument(
        "--seed", type=_whole, default=1, help="the world's seed: prices, books and winners follow from it"
    )
    flags.add_argument("--window-s", type=_window, default=900, help="seconds from a market's open to its close")
    flags.add_argument(
        "--world", choices=sorted(VARIANTS), default="today", help="how late the slow venue's makers are"
    )
    flags.add_argument("--assets", type=_assets, default=tuple(ASSETS), help="comma-separated, such as BTC,ETH")
    flags.add_argument(
        "--clob-version", type=_whole, choices=(1, 2), default=2, help="version of signed orders; others are refused"
    )
    flags.add_argument(
        "--require-deposit-wallet", action="store_true", help="refuse orders made by plain wallets, as for new accounts"
    )
    flags.add_argument("--deposit", type=_dollars, default=10_000 * _MICRO, help="dollars in every new wallet")
    flags.add_argument(
        "--ledger", type=_ledger, help="file that keeps accounts, orders and (in FILE.keys) API keys over a restart"
    )
    flags.add_argument("--faults", default="", help="how to misbehave: a JSON file with a fault plan, or `default`")
    flags.add_argument("--taker-delay-ms", type=_delay, default=150, help="how long a marketable order is held")
    flags.add_argument("--host", default="127.0.0.1", help="address to listen on")
    flags.add_argument("--exit-with-stdin", action="store_true", help="exit when standard input ends")
    return flags


def _plan(name: str, seed: int, window_s: int) -> FaultPlan:
    """Return the plan of that name. Raises OSError for a file that cannot be read, ValueError for what is no plan."""
    return named_plan(name if name in {"", "default"} else Path(name).read_text(encoding="utf-8"), seed, window_s)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the exchange and return its exit code: 0 after a signal or the end of stdin, 1 when the port is taken."""
    made = parser()
    flags = made.parse_args(arguments)
    try:
        faults = _plan(flags.faults, flags.seed, flags.window_s)
    except OSError as error:
        made.error(f"argument --faults: {flags.faults}: {error.strerror}: give a JSON file, or the word default")
    except UnicodeDecodeError:
        made.error(f"argument --faults: {flags.faults} is no text: give a JSON file, or the word default")
    except ValueError as error:
        made.error(f"argument --faults: {flags.faults}: {error}")
    operation = Operation(
        Terms(flags.clob_version, flags.require_deposit_wallet),
        TradingRules(deposit=flags.deposit, taker_delay_ms=flags.taker_delay_ms),
        faults,
        flags.ledger,
    )
    try:
        exchange = make_exchange(
            flags.seed, flags.world, flags.window_s, flags.assets, lambda: time.time_ns() // 1_000_000, operation
        )
    except (OSError, ValueError) as error:
        made.error(f"argument --ledger: {error}")
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
