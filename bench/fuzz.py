"""Mutated frames through decoders, book and flow: counts crashes, which must be 0, and frames per second.

    python -m bench.fuzz --frames 1000000 --seed 1

Frames come from the recordings `clob-raw-5m` and `binance-raw` in `../shared/recordings` (or `--recordings`).
"""

import argparse
import re
import sys
import time
import traceback
from pathlib import Path
from random import Random

import msgspec

from core.errors import RejectedError
from core.market.book import LocalBook
from core.market.events import BookTicker, Kline, SettlementPrice, Trade
from core.market.flow import FlowState
from venues.binance.decode import decode_binance_frame
from venues.polymarket.decode import decode_market_frame
from venues.polymarket.prices import decode_prices_frame
from venues.recordings import open_recording
from venues.recordings.lines import read_lines
from venues.transport import BadFrameError

NUMBER = re.compile(rb'"-?[\d.]+"')
ODD_NUMBERS = (
    b'"0"',
    b'"-1"',
    b'"1"',
    b'"1e400"',
    b'"NaN"',
    b'""',
    b"null",
    b'"0.999999999"',
    b"9" * 30,
    b'"' + b"9" * 60 + b'"',
)
NOW_MS = 1_776_808_414_000
VIEW_EVERY = 16


class _Line(msgspec.Struct):
    payload: msgspec.Raw


def main() -> int:
    """Run the fuzzer; exit code 1 when anything but `BadFrameError` was raised."""
    parser = argparse.ArgumentParser(prog="python -m bench.fuzz", description=__doc__)
    parser.add_argument("--frames", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    default = Path(__file__).resolve().parents[1] / ".." / "shared" / "recordings"
    parser.add_argument("--recordings", type=Path, default=default)
    arguments = parser.parse_args()
    try:
        polymarket, binance = corpus(arguments.recordings)
        markets = open_recording(arguments.recordings / "clob-raw-5m").markets
    except RejectedError as error:
        print(error, file=sys.stderr)
        return 2
    random = Random(arguments.seed)
    book, flow = LocalBook(markets[0]), FlowState("BTC")
    bad = crashes = events = 0
    begun_s = time.perf_counter()
    for number in range(arguments.frames):
        of_polymarket = random.random() < 0.5
        frame = mutate(random.choice(polymarket if of_polymarket else binance), random)
        try:
            events += _feed(frame, book, flow, number, of_polymarket=of_polymarket)
        except BadFrameError:
            bad += 1
        except Exception:  # noqa: BLE001 - finding these is what this program is for
            crashes += 1
            if crashes == 1:
                print(f"first crash: seed {arguments.seed}, frame {number}: {frame!r}")
                traceback.print_exc()
    elapsed_s = time.perf_counter() - begun_s
    print(
        f"frames {arguments.frames}, seed {arguments.seed}: crashes {crashes}, bad frames {bad}, events {events}, "
        f"{arguments.frames / elapsed_s:.0f} frames/s (mutation included)"
    )
    return 1 if crashes else 0


def corpus(recordings: Path) -> tuple[list[bytes], list[bytes]]:
    """Return real frames of both venues.

    Raises:
        RejectedError: when the recordings are not there.
    """
    lines = read_lines(recordings / "clob-raw-5m" / "market-ws.jsonl.gz")
    polymarket = [bytes(msgspec.json.decode(line, type=_Line).payload) for line in lines]
    binance = []
    for line in read_lines(recordings / "binance-raw" / "usdm" / "btcusdt_20240808.gz"):
        frame = line.partition(b" ")[2]
        if len(frame) < 4_000:
            binance.append(frame)
        if len(binance) == 20_000:
            break
    return polymarket, binance


def mutate(frame: bytes, random: Random) -> bytes:
    """Return `frame` with up to three things wrong with it, and in one case of eight with none."""
    data = bytearray(frame)
    for _ in range(random.randrange(4)):
        kind = random.randrange(6)
        if not data:
            break
        if kind == 0:
            data[random.randrange(len(data))] ^= 1 << random.randrange(8)
        elif kind == 1:
            del data[random.randrange(len(data)) :]
        elif kind == 2:
            _duplicate_member(data, random)
        elif kind == 3:
            _swap_numbers(data, random)
        elif kind == 4:
            _odd_number(data, random)
        else:
            start = random.randrange(len(data))
            data[start:start] = data[start : start + random.randrange(1, 60)]
    return bytes(data)


def _duplicate_member(data: bytearray, random: Random) -> None:
    commas = [index for index, byte in enumerate(data[:400]) if byte == ord(",")]
    if len(commas) > 1:
        first = random.randrange(len(commas) - 1)
        member = bytes(data[commas[first] : commas[first + 1]])
        data[commas[first] : commas[first]] = member


def _swap_numbers(data: bytearray, random: Random) -> None:
    numbers = list(NUMBER.finditer(bytes(data[:2_000])))
    if len(numbers) > 1:
        one, other = sorted(random.sample(numbers, 2), key=lambda match: match.start())
        swapped = other[0] + bytes(data[one.end() : other.start()]) + one[0]
        data[one.start() : other.end()] = swapped


def _odd_number(data: bytearray, random: Random) -> None:
    numbers = list(NUMBER.finditer(bytes(data[:2_000])))
    if numbers:
        victim = random.choice(numbers)
        data[victim.start() : victim.end()] = random.choice(ODD_NUMBERS)


def _feed(frame: bytes, book: LocalBook, flow: FlowState, number: int, *, of_polymarket: bool) -> int:
    """Decode, apply and now and then look at the views; return how many events there were."""
    now_ms = NOW_MS + number
    if number % 50 == 0:
        decode_prices_frame(frame)
    decoded = decode_market_frame(frame) if of_polymarket else decode_binance_frame(frame)
    for event in decoded.events:
        if isinstance(event, Trade | BookTicker | Kline):
            flow.apply(event, now_ms)
        elif not isinstance(event, SettlementPrice):
            book.apply(event, now_ms)
    if number % VIEW_EVERY == 0:
        book.view()
        flow.view(now_ms)
    return len(decoded.events)


if __name__ == "__main__":
    sys.exit(main())
