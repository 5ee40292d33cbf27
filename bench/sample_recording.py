"""Writes the recording in docs/samples: a window of the embedded world, a book every two seconds, as `clob-books-15m`.

    python -m bench.sample_recording docs/samples

The same seed writes the same bytes.
"""

import csv
import gzip
import io
import sys
from datetime import UTC, datetime
from pathlib import Path

from core.trading.money import MICRO, decimal
from venues.recordings.clob_books import HEADER
from venues.sim.world import World

SEED, WORLD, ASSET, WINDOW_S = 11, "lagged", "BTC", 900
OPENS_AT_S = 1_795_867_200
"""2026-11-28 12:00 UTC."""
EVERY_S = 2
LATE_MS = 60
"""How long after its stamp an indexer has a book."""
LEVELS = 5
SLUG = f"btc-updown-15m-{OPENS_AT_S}"
COLUMNS = (
    *HEADER.decode().rstrip(",").split(","),
    *("slot_start_utc", "slot_end_utc", "timestamp_ms", "indexed_at_ms", "market", "min_order_size", "tick_size"),
    *(f"{side}_{n}_{what}" for side in ("bid", "ask") for n in range(1, LEVELS + 1) for what in ("price", "size")),
    *("btc_price", "btc_price_timestamp"),
)
Side = list[tuple[int, int]]


def main(folder: Path) -> None:
    """Write both tokens' files into `folder`."""
    world = World(SEED, WORLD, WINDOW_S)
    folder.mkdir(parents=True, exist_ok=True)
    for label, token in (("Up", 1), ("Down", 2)):
        out = io.StringIO()
        writer = csv.DictWriter(out, COLUMNS, lineterminator="\n")
        writer.writeheader()
        for second in range(1, WINDOW_S, EVERY_S):
            writer.writerow(_row(world, label, token, OPENS_AT_S + second))
        file = folder / f"{SLUG}__{label.lower()}.csv.gz"
        file.write_bytes(gzip.compress(out.getvalue().encode(), mtime=0))


def _row(world: World, label: str, token: int, at_s: int) -> dict[str, object]:
    book = world.book(ASSET, OPENS_AT_S, at_s * 1000)
    bids, asks = list(book.bids), list(book.asks)
    if label == "Down":
        bids, asks = _mirrored(asks), _mirrored(bids)
    return {
        "market_slug": SLUG,
        "title": "A window of the embedded world: not recorded at the venue",
        "status": "closed",
        "side_label": label,
        "token_id": token,
        "slot_start_utc": _utc(OPENS_AT_S),
        "slot_end_utc": _utc(OPENS_AT_S + WINDOW_S),
        "timestamp_ms": at_s * 1000,
        "indexed_at_ms": at_s * 1000 + LATE_MS,
        "market": f"0x{OPENS_AT_S:064x}",
        "min_order_size": 5,
        "tick_size": "0.01",
        **_levels("bid", bids),
        **_levels("ask", asks),
        "btc_price": world.tick(ASSET, at_s) / 1e8,
        "btc_price_timestamp": at_s * 1000,
    }


def _levels(name: str, side: Side) -> dict[str, object]:
    best = enumerate(side[:LEVELS], 1)
    return {
        key: value
        for n, (price, shares) in best
        for key, value in ((f"{name}_{n}_price", decimal(price)), (f"{name}_{n}_size", decimal(shares)))
    }


def _mirrored(side: Side) -> Side:
    """Return what orders of the one token are for the other: an ask of Up at 0.51 is a bid for Down at 0.49."""
    return [(MICRO - price, shares) for price, shares in side]


def _utc(at_s: int) -> str:
    return datetime.fromtimestamp(at_s, UTC).isoformat()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
