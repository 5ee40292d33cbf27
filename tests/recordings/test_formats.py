"""Every recorded format opens, says what it holds and lacks, and yields the same ordered events each time."""

import gzip
import shutil
from collections import Counter
from pathlib import Path

import pytest

from core.errors import RejectedError
from core.market.book import LocalBook
from core.market.events import BookSnapshot, SettlementPrice
from core.market.flow import FlowState
from core.market.market import FeeSchedule
from venues.recordings import FORMATS, Recording, open_recording
from venues.recordings.clob_books import PRICE_DELAY_MS

COUNTS = {
    "clob-books-15m": {"BookSnapshot": 7_778, "SettlementPrice": 533},
    "bid-ask-1hz-15m": {"BookSnapshot": 29_437},
    "clob-raw-5m": {"PriceChange": 5_185, "BookSnapshot": 144, "LastTrade": 71, "BestBidAsk": 144},
    "multi-venue-raw-15m": {"BookSnapshot": 576, "PriceChange": 44, "Trade": 306, "SettlementPrice": 6_411},
    "binance-raw": {"BookTicker": 66_089, "Trade": 21_313},
}


@pytest.mark.parametrize("name", FORMATS)
def test_a_folder_opens_by_content_and_yields_every_event_in_order(recordings: Path, name: str) -> None:
    recording = open_recording(recordings / name)
    assert recording.format == name
    at_ms, counts = 0, Counter[str]()
    for recorded in recording.events():
        assert recorded.at_ms >= at_ms
        assert recorded.asset in recording.assets
        at_ms = recorded.at_ms
        counts[type(recorded.event).__name__] += 1
    assert counts == COUNTS[name]
    assert not recording.skipped


@pytest.mark.parametrize("name", ["clob-books-15m", "bid-ask-1hz-15m", "clob-raw-5m", "multi-venue-raw-15m"])
def test_the_same_recording_yields_the_same_events_again(recordings: Path, name: str) -> None:
    recording = open_recording(recordings / name)
    assert list(recording.events()) == list(recording.events())
    assert list(open_recording(recordings / name, name).events()) == list(recording.events())


@pytest.mark.parametrize("name", ["clob-books-15m", "bid-ask-1hz-15m", "clob-raw-5m"])
def test_its_books_come_to_a_view_of_each_market(recordings: Path, name: str) -> None:
    recording = open_recording(recordings / name)
    books = {
        market.condition_id: LocalBook(market, sized=recording.sized, continuous_snapshots=recording.snapshots_only)
        for market in recording.markets
    }
    for recorded in recording.events():
        if recorded.venue == "polymarket":
            assert recorded.condition_id is not None
            books[recorded.condition_id].apply(recorded.event, recorded.at_ms)  # type: ignore[arg-type]
    for book in books.values():
        view = book.view()
        assert view is not None
        assert (view.sized, view.continuity_epoch) == (recording.sized, 1)
        assert book.counters.crossed_snapshots == 0


def test_a_single_half_brings_the_other_token_along_and_a_lone_one_is_refused(recordings: Path, tmp_path: Path) -> None:
    half = recordings / "clob-books-15m" / "btc-updown-15m-1773893700__up.csv.gz"
    recording = open_recording(half)
    assert [market.window.slug for market in recording.markets] == ["btc-updown-15m-1773893700"]
    tokens = {recorded.event.token_id for recorded in recording.events() if isinstance(recorded.event, BookSnapshot)}
    assert tokens == {recording.markets[0].up_token, recording.markets[0].down_token}
    shutil.copy(half, tmp_path)
    with pytest.raises(RejectedError, match="other token's file"):
        open_recording(tmp_path)


def test_joined_prices_are_not_known_before_they_could_have_arrived(recordings: Path) -> None:
    for recorded in open_recording(recordings / "clob-books-15m").events():
        if isinstance(recorded.event, SettlementPrice):
            assert recorded.at_ms - recorded.event.venue_ms >= PRICE_DELAY_MS


def test_no_recording_claims_an_outcome_that_it_does_not_state(recordings: Path) -> None:
    for name in FORMATS:
        recording = open_recording(recordings / name)
        assert set(recording.outcomes.values()) <= {None}
        assert "outcome" in recording.lacks
        assert set(recording.outcomes) == {market.condition_id for market in recording.markets}


def test_one_second_prices_are_marked_as_not_sized_and_ends_are_only_inferred(recordings: Path) -> None:
    recording = open_recording(recordings / "bid-ask-1hz-15m")
    assert not recording.sized
    assert {"sizes", "Binance flow"} <= set(recording.lacks)
    assert recording.inference_rule
    undecided = {"bid-ask-1hz-15m:1770037200"}
    assert set(recording.inferred_outcomes) == set(recording.outcomes) - undecided
    assert recording.inferred_outcomes["bid-ask-1hz-15m:1770029100"] == "DOWN"


def test_the_previous_windows_book_at_the_opening_is_left_out(recordings: Path) -> None:
    # the file's first two rows still show 0.99/1.00 and a decided Down token
    recording = open_recording(recordings / "bid-ask-1hz-15m" / "prices_20260202_1300.csv.gz")
    first = next(recording.events()).event
    assert isinstance(first, BookSnapshot)
    assert first.venue_ms == 1_770_037_205_175
    assert first.bids[0][0] == 460_000


def test_raw_books_of_five_minute_markets_keep_their_length(recordings: Path) -> None:
    recording = open_recording(recordings / "clob-raw-5m" / "market-ws.jsonl.gz")
    assert [market.window.length_s for market in recording.markets] == [300, 300]
    assert "fee schedule" in recording.lacks


def test_a_session_that_watched_tomorrows_window_says_so(recordings: Path) -> None:
    folder = recordings / "multi-venue-raw-15m"
    fresh = open_recording(folder / "natural-20260429T021025Z-fresh")
    assert any("not the current one" in note for note in fresh.notes)
    current = open_recording(folder / "current-window-rootcause-20260429T0312Z")
    assert not any("not the current one" in note for note in current.notes)
    assert current.markets[0].fees == FeeSchedule(0.072, 1, taker_only=True)
    assert "fee schedule" not in current.lacks


def test_futures_are_taken_where_spot_lies_beside_them_and_drive_the_flow(recordings: Path) -> None:
    recording = open_recording(recordings / "binance-raw")
    assert any("spot" in note for note in recording.notes)
    flow, at_ms = FlowState("BTC"), 0
    for recorded in recording.events():
        flow.apply(recorded.event, recorded.at_ms)  # type: ignore[arg-type]
        at_ms = recorded.at_ms
    view = flow.view(at_ms)
    assert view is not None
    assert view.returns_5m == pytest.approx(-0.0024, abs=1e-4)
    assert 10 < view.trade_intensity < 100


def test_plain_files_open_like_gzipped_ones(recordings: Path, tmp_path: Path) -> None:
    name = "prices_20260202_1300.csv"
    source = recordings / "bid-ask-1hz-15m" / f"{name}.gz"
    (tmp_path / name).write_bytes(gzip.decompress(source.read_bytes()))
    assert list(open_recording(tmp_path / name).events()) == list(open_recording(source).events())


def test_a_frame_that_cannot_be_read_is_skipped_and_counted_as_live(recordings: Path, tmp_path: Path) -> None:
    folder = recordings / "clob-raw-5m"
    shutil.copy(folder / "markets.json", tmp_path)
    lines = gzip.decompress((folder / "market-ws.jsonl.gz").read_bytes()).splitlines()[:50]
    lines.insert(10, b'{"capturedAt":1776808414,"payload":{"event_type":"book"}}')
    (tmp_path / "market-ws.jsonl").write_bytes(b"\n".join(lines))
    recording = open_recording(tmp_path)
    assert len(list(recording.events())) == 50
    assert recording.skipped == {"market-ws.jsonl": 1}


def test_a_truncated_file_is_named_when_it_is_reached(recordings: Path, tmp_path: Path) -> None:
    source = recordings / "binance-raw" / "usdm" / "btcusdt_20240808.gz"
    broken = tmp_path / "btcusdt.gz"
    broken.write_bytes(source.read_bytes()[:100_000])
    recording = open_recording(broken)
    with pytest.raises(RejectedError, match=r"btcusdt\.gz is a truncated gzip file: fetch it anew"):
        list(recording.events())


def test_a_row_with_a_broken_number_is_named(recordings: Path, tmp_path: Path) -> None:
    source = recordings / "bid-ask-1hz-15m" / "prices_20260202_1300.csv.gz"
    rows = gzip.decompress(source.read_bytes()).decode().splitlines()
    rows[100] = rows[100].replace("0.", "x.", 1)
    (tmp_path / "prices.csv").write_text("\n".join(rows))
    with pytest.raises(RejectedError, match=r"prices\.csv"):
        list(open_recording(tmp_path / "prices.csv").events())


def test_what_cannot_be_opened_is_named_with_a_remedy(recordings: Path, tmp_path: Path) -> None:
    with pytest.raises(RejectedError, match="does not exist"):
        open_recording(tmp_path / "absent")
    with pytest.raises(RejectedError, match="holds no files"):
        open_recording(tmp_path)
    (tmp_path / "notes.txt").write_text("nothing recorded here")
    with pytest.raises(RejectedError, match=r"notes\.txt is no recording that is known.*--format"):
        open_recording(tmp_path / "notes.txt")
    with pytest.raises(RejectedError, match="no format of recordings"):
        open_recording(tmp_path / "notes.txt", "parquet")
    with pytest.raises(RejectedError, match="several formats"):
        open_recording(recordings)


def test_a_forced_format_that_does_not_fit_is_refused_in_one_line(recordings: Path) -> None:
    for name in FORMATS:
        forced = "bid-ask-1hz-15m" if name != "bid-ask-1hz-15m" else "clob-raw-5m"
        with pytest.raises(RejectedError) as refused:
            list(_events(open_recording(recordings / name, forced)))
        assert "\n" not in str(refused.value)


def _events(recording: Recording) -> list[object]:
    return [recorded.event for recorded in recording.events()]
