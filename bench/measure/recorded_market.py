"""The recorded markets below a folder, in the shape the simulated ones are measured in. Each figure has its source."""

import csv
import gzip
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from bench.measure.market_sample import LEVELS, FlowStretch, Follow, MinuteWindow, Sample, flow_stretch, merged
from bench.measure.simulated_market import AGES
from bench.measure.slow_reader import MEMORY, digital_value
from venues.sim.world.measure import Touches
from venues.sim.world.noise import Floats, Ints

_FRESH_MS = 1000
"""A mid counts for a second only when its book is younger: the source of the five-level books has long silences."""


def recorded_sample(folder: Path) -> Sample:
    """Return everything the recordings say. Raises FileNotFoundError when a set is missing."""
    books = [list(_rows(path)) for path in sorted((folder / "clob-books-15m").glob("*.csv.gz"))]
    quotes = sorted((folder / "bid-ask-1hz-15m").glob("*.csv.gz"))
    if not books or not quotes:
        raise FileNotFoundError(f"no recorded quotes and books below {folder}")
    klines = [_december(folder), _january(folder)]
    resolutions = json.loads(gzip.decompress((folder / "resolutions-15m/btc-15m-resolutions.json.gz").read_bytes()))
    windows = list(_minute_windows(folder))
    sides = [r["resolution"] for r in resolutions["markets"].values()]
    return Sample(
        name="recorded",
        touches=[_touches(path) for path in quotes],
        depths=np.concatenate([_depths(rows, side) for rows in books for side in ("bid", "ask")]),
        follows=[_follow(rows) for rows in books if rows[0]["side_label"] == "Up"],
        closes=[np.log(close) for _, close in klines],
        hours=[minute // 60 % 24 for minute, _ in klines],
        flow=[_flow(folder)],
        windows=windows,
        outcomes=np.array([w.won for w in windows] + [float(s.lower() == "up") for s in sides]),
    )


def _rows(path: Path) -> Iterator[dict[str, str]]:
    with gzip.open(path, "rt") as lines:
        yield from csv.DictReader(lines)


def _column(rows: list[dict[str, str]], name: str) -> Floats:
    return np.array([float(row[name]) if row[name] else np.nan for row in rows])


def _touches(path: Path) -> Touches:
    """Return a window's touch; one-sided and crossed rows, among them the previous window's last book, are NaN."""
    rows = list(_rows(path))
    bid, ask = _column(rows, "call_bid"), _column(rows, "call_ask")
    usable = (bid > 0) & (ask < 1) & (bid < ask)
    return Touches(np.where(usable, bid, np.nan), np.where(usable, ask, np.nan))


def _depths(rows: list[dict[str, str]], side: str) -> Floats:
    return np.stack([_column(rows, f"{side}_{level}_size") for level in range(1, LEVELS + 1)], axis=1)


def _follow(rows: list[dict[str, str]]) -> Follow:
    """Return moves between whole seconds: of the last book's mid if fresh, and of the tick stamped with the second."""
    stamps = _column(rows, "timestamp_ms")
    mids = (_column(rows, "bid_1_price") + _column(rows, "ask_1_price")) / 2
    tick_s = (_column(rows, "btc_price_timestamp") / 1000).tolist()
    ticks = dict(zip(tick_s, _column(rows, "btc_price").tolist(), strict=True))
    seconds = np.arange(int(stamps[0] // 1000) + 2, int(stamps[-1] // 1000))
    last = np.searchsorted(stamps, seconds * 1000, side="right") - 1
    fresh = seconds * 1000 - stamps[last] < _FRESH_MS
    values = np.array([ticks.get(float(s), np.nan) for s in seconds])
    return Follow(np.diff(np.where(fresh, mids[last], np.nan)), np.diff(values))


def _december(folder: Path) -> tuple[Ints, Floats]:
    rows = list(_rows(folder / "minute-prices-15m/binance-btcusdt-1m.csv.gz"))
    return np.array([int(row["open_time_ms"]) // 60_000 for row in rows]), _column(rows, "close")


def _january(folder: Path) -> tuple[Ints, Floats]:
    rows = json.loads(gzip.decompress((folder / "resolutions-15m/binance-btcusdt-1m.json.gz").read_bytes()))
    return np.array([int(row[0]) // 60_000 for row in rows]), np.array([float(row[4]) for row in rows])


def _minute_windows(folder: Path) -> Iterator[MinuteWindow]:
    """Yield the windows of December 2025: Up prices, values from Binance's closes, and Binance's direction as winner.

    The rule of that time compared the spot at the end with that at the start.
    """
    minute, close = _december(folder)
    by_minute = dict(zip(minute.tolist(), close.tolist(), strict=True))
    with gzip.open(folder / "minute-prices-15m/btc-up-prices.jsonl.gz", "rt") as lines:
        markets = [json.loads(line) for line in lines]
    for market in markets:
        opens = market["window_start_s"] // 60
        if opens - MEMORY - max(AGES) - 1 not in by_minute or opens + 14 not in by_minute:
            continue
        strike = by_minute[opens - 1]
        points = [(stamp // 60_000 - opens, price) for stamp, price in market["points"]]
        kept = [(m, price) for m, price in points if 1 <= m <= 14]
        values = []
        for age in AGES:
            known = [[by_minute[opens + m - 1 - age - k] for k in reversed(range(MEMORY + 1))] for m, _ in kept]
            left = [15.0 - m + age for m, _ in kept]
            values.append(np.array([digital_value(k, strike, rest) for k, rest in zip(known, left, strict=True)]))
        yield MinuteWindow(
            minutes=np.array([m for m, _ in kept]),
            prices=np.array([price for _, price in kept]),
            values=tuple(values),
            won=float(by_minute[opens + 14] >= strike),
        )


def _flow(folder: Path) -> FlowStretch:
    with gzip.open(folder / "binance-raw/usdm/btcusdt_20240808.gz", "rt") as lines:
        frames = [json.loads(line.split(" ", 1)[1]) for line in lines if "@trade" in line]
    made = sorted((f["data"] for f in frames), key=lambda d: (d["T"], d["t"]))
    trades = [(d["T"], float(d["p"]), float(d["q"]), -1.0 if d["m"] else 1.0) for d in made if float(d["p"]) > 0]
    t_ms, price, quantity, sides = (np.array(column) for column in zip(*trades, strict=True))
    return flow_stretch(*merged(t_ms, price, quantity, sides))
