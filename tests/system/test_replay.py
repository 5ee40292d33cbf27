"""Replay on real recordings: every format runs through the whole system, deterministically, and says what it lacks."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.system.process import ROOT

RECORDINGS = ROOT.parent / "shared" / "recordings"
UPSTREAM = ROOT.parent / "shared" / "upstream"
needs_recordings = pytest.mark.skipif(not RECORDINGS.exists(), reason="../shared/recordings is not there")


def replay(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "supervisor.py", "replay", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def report_of(*arguments: str) -> dict[str, object]:
    done = replay(*arguments, "--json")
    assert done.returncode == 0, done.stderr
    report: dict[str, object] = json.loads(done.stdout)
    return report


@needs_recordings
@pytest.mark.parametrize(
    ("recording", "format_", "windows", "lacks"),
    [
        ("clob-books-15m", "clob-books-15m", {"BTC": 2}, "Binance flow"),
        ("bid-ask-1hz-15m/prices_20260202_1100.csv.gz", "bid-ask-1hz-15m", {"BTC": 1}, "sizes"),
        ("clob-raw-5m", "clob-raw-5m", {"BTC": 2}, "Binance flow"),
        ("multi-venue-raw-15m/current-window-rootcause-20260429T0312Z", "multi-venue-raw-15m", {"BTC": 1}, "outcome"),
        ("binance-raw/usdm", "binance-raw", {"BTC": 0}, "Polymarket books"),
    ],
)
def test_every_format_runs_through_the_whole_system(
    recording: str, format_: str, windows: dict[str, int], lacks: str
) -> None:
    report = report_of(str(RECORDINGS / recording), "--sample")

    assert report["format"] == format_
    assets = report["assets"]
    assert isinstance(assets, dict)
    assert {asset: assets[asset]["windows"] for asset in windows} == windows
    assert lacks in str(report["lacks"])


@needs_recordings
def test_the_same_recording_and_seed_give_the_same_bytes_and_another_seed_does_not() -> None:
    path = str(RECORDINGS / "clob-books-15m")
    first = replay(path, "--sample", "--seed", "3", "--json")

    assert first.returncode == 0, first.stderr
    assert json.loads(first.stdout)["assets"]["BTC"]["trades"] > 0
    assert replay(path, "--sample", "--seed", "3", "--json").stdout == first.stdout
    assert replay(path, "--sample", "--seed", "4", "--json").stdout != first.stdout


@needs_recordings
@pytest.mark.skipif(not UPSTREAM.exists(), reason="../shared/upstream is not there")
def test_the_references_weights_trade_and_what_cannot_be_settled_is_not_guessed() -> None:
    weights = str(UPSTREAM / "rl_model.safetensors")
    report = report_of(str(RECORDINGS / "bid-ask-1hz-15m"), "--weights", weights, "--size", "50")

    assets = report["assets"]
    assert isinstance(assets, dict)
    assert assets["BTC"]["decisions"] > 10_000
    assert assets["BTC"]["trades"] > 0
    assert "outcomes unknown" in str(report["assumptions"])


@needs_recordings
def test_a_window_that_starts_tomorrow_is_not_traded_today() -> None:
    report = report_of(str(RECORDINGS / "multi-venue-raw-15m" / "natural-20260429T021025Z-fresh"))

    assets = report["assets"]
    assert isinstance(assets, dict)
    assert {asset: values["decisions"] for asset, values in assets.items()} == dict.fromkeys(assets, 0)


@pytest.mark.parametrize(
    ("content", "said"),
    [(None, "does not exist"), (b"", "format"), (b"\x1f\x8b\x08garbage", "gz")],
    ids=["missing", "empty", "torn gzip"],
)
def test_a_bad_recording_ends_with_one_line_that_names_it(tmp_path: Path, content: bytes | None, said: str) -> None:
    path = tmp_path / "recording.csv.gz"
    if content is not None:
        path.write_bytes(content)
    done = replay(str(path))

    assert done.returncode == 1
    assert "recording.csv.gz" in done.stderr
    assert said in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
