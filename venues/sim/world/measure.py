"""Measures the world the way recorded markets are measured: `python -m venues.sim.world.measure`.

With `--recordings FOLDER` the same statistics are taken from recorded one-second quotes and five-level books.
"""

import argparse
import csv
import gzip
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec
import numpy as np

from venues.sim.world.noise import Floats
from venues.sim.world.variants import VARIANTS
from venues.sim.world.world import World

_DAY_S = 86_400
_LATE_MS = 700
_EDGE = 0.02


class Touches(msgspec.Struct, frozen=True):
    """Bid and ask of one token in dollars, one entry a second."""

    bid: Floats
    ask: Floats


def touch_figures(windows: Iterable[Touches]) -> dict[str, float]:
    """Return spread quantiles, the share of seconds in which the mid moves, and quantiles of its one-second moves."""
    kept = list(windows)
    spread = np.concatenate([w.ask - w.bid for w in kept])
    moves = np.concatenate([np.abs(np.diff((w.bid + w.ask) / 2)) for w in kept])
    spread, moves = spread[~np.isnan(spread)], moves[~np.isnan(moves)]
    figures = {f"spread p{round(q * 100)}": float(np.quantile(spread, q)) for q in (0.5, 0.9, 0.99)}
    figures["seconds in which the mid moves"] = float((moves > 1e-9).mean())  # noqa: PLR2004 - rounding noise
    return figures | {f"one-second move p{round(q * 100)}": float(np.quantile(moves, q)) for q in (0.9, 0.99)}


def sampled_opens(world: World, first_s: int, windows: int) -> list[int]:
    """Return the opening seconds of `windows` windows, spread over the twenty days up to that of `first_s`."""
    per_day = _DAY_S // world.window_s
    return sorted(first_s - _DAY_S * (k % 20) + (k * 7919 % per_day) * world.window_s for k in range(windows))


def simulated(world: World, asset: str, first_s: int, windows: int) -> dict[str, float]:
    """Return the figures of `windows` windows of `asset`, spread over the twenty days up to that of `first_s`."""
    opens = sampled_opens(world, first_s, windows)
    touches = [_simulated_touches(world, asset, start) for start in opens]
    won = np.array([world.winner(asset, start) == "Up" for start in opens], dtype=float)
    each_minute = max(1, world.window_s // 15)
    mids = np.array([((t.bid + t.ask) / 2)[each_minute::each_minute] for t in touches])
    scores = np.mean((mids - won[:, None]) ** 2, axis=1)
    sizes = [
        shares / 1e6
        for start in opens
        for second in range(0, world.window_s, each_minute)
        for book in [world.book(asset, start, (start + second) * 1000)]
        for shares in (book.bids[0][1], book.asks[0][1])
    ]
    follows = [_follows(world, asset, start, t) for start, t in zip(opens, touches, strict=True)]
    gains = [_late_gains(world, asset, start, t) for start, t in zip(opens, touches, strict=True)]
    late = [gain for window in gains for gain in window.values()]
    runs = sum(second - 1 not in window for window in gains for second in window)
    return touch_figures(touches) | {
        "best-level size median": float(np.median(sizes)),
        "Brier score of the mid": float(scores.mean()),
        "its standard error": float(scores.std() / np.sqrt(windows)),
        "mid's correlation with spot a second earlier": float(np.nanmean(follows)),
        f"seconds a window with an edge above {_EDGE} after fee": len(late) / windows,
        "runs of such seconds a window": runs / windows,
        f"what is left of the edge {_LATE_MS} ms later": float(np.mean(late)) if late else 0.0,
    }


def _simulated_touches(world: World, asset: str, opens_at_s: int) -> Touches:
    quotes = [world.quote(asset, opens_at_s, (opens_at_s + s) * 1000) for s in range(world.window_s)]
    return Touches(np.array([q.bid for q in quotes]) / 1e6, np.array([q.ask for q in quotes]) / 1e6)


def _follows(world: World, asset: str, opens_at_s: int, touches: Touches) -> float:
    moves = np.diff((touches.bid + touches.ask) / 2)[1:]
    spot = np.diff([world.spot(asset, (opens_at_s + s) * 1000) for s in range(world.window_s)])[:-1]
    return float(np.corrcoef(spot, moves)[0, 1]) if moves.std() and spot.std() else float("nan")


def _late_gains(world: World, asset: str, opens_at_s: int, touches: Touches) -> dict[int, float]:
    """Return, for each second with an edge for who knows P(Up) without lag, what a late fill would still earn."""
    rate = world.variant.fee_rate

    def edges(fair: float, bid: float, ask: float) -> tuple[float, float]:
        return fair - ask - rate * ask * (1 - ask), bid - fair - rate * bid * (1 - bid)

    gains = {}
    for second in range(world.window_s - 1):
        t_ms = (opens_at_s + second) * 1000
        fair = world.fair(asset, opens_at_s, t_ms)
        now = edges(fair, float(touches.bid[second]), float(touches.ask[second]))
        if max(now) > _EDGE:
            late = world.quote(asset, opens_at_s, t_ms + _LATE_MS)
            gains[second] = edges(fair, late.bid / 1e6, late.ask / 1e6)[now.index(max(now))]
    return gains


def recorded(folder: Path) -> dict[str, float]:
    """Return the figures of the recorded BTC windows below `folder`. Raises FileNotFoundError when there are none."""
    quotes = sorted((folder / "bid-ask-1hz-15m").glob("*.csv.gz"))
    books = sorted((folder / "clob-books-15m").glob("*.csv.gz"))
    if not quotes or not books:
        raise FileNotFoundError(f"no recorded quotes and books below {folder}")
    windows = [Touches(_column(path, "call_bid"), _column(path, "call_ask")) for path in quotes]
    sizes = [_column(path, f"{side}_1_size") for path in books for side in ("bid", "ask")]
    return touch_figures(windows) | {"best-level size median": float(np.nanmedian(np.concatenate(sizes)))}


def _column(path: Path, name: str) -> Floats:
    with gzip.open(path, "rt") as lines:
        return np.array([float(row[name]) if row[name] else np.nan for row in csv.DictReader(lines)])


def main(arguments: list[str] | None = None, write: Callable[[str], object] = sys.stdout.write) -> int:
    """Print the figures, one a line."""
    flags = argparse.ArgumentParser(
        prog="python -m venues.sim.world.measure", description="Measure the simulated world."
    )
    flags.add_argument("--seed", type=int, default=11)
    flags.add_argument("--world", choices=sorted(VARIANTS), default="today")
    flags.add_argument("--window-s", type=int, default=900)
    flags.add_argument("--asset", default="BTC")
    flags.add_argument("--windows", type=int, default=200)
    flags.add_argument("--recordings", type=Path, help="measure recorded markets below this folder instead")
    chosen = flags.parse_args(arguments)
    if chosen.recordings:
        figures = recorded(chosen.recordings)
    else:
        world = World(chosen.seed, chosen.world, chosen.window_s)
        figures = simulated(world, chosen.asset, 20_780 * _DAY_S, chosen.windows)
    for name, value in figures.items():
        write(f"{name:60} {value:.4f}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
