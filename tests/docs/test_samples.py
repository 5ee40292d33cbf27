"""The recording in docs/samples is what its module writes, so that nobody has to trust it."""

import math
from pathlib import Path

from bench.sample_recording import main
from tests.docs.pages import ROOT
from venues.recordings.lines import read_rows

SAMPLES = ROOT / "docs" / "samples"
CENT = 0.01
"""Another processor rounds the last digits of a price otherwise."""


def test_the_sample_recording_is_what_its_module_writes(tmp_path: Path) -> None:
    main(tmp_path)

    assert {file.name for file in tmp_path.iterdir()} == {file.name for file in SAMPLES.iterdir()}
    for file in SAMPLES.iterdir():
        for ours, theirs in zip(read_rows(tmp_path / file.name), read_rows(file), strict=True):
            assert ours["timestamp_ms"] == theirs["timestamp_ms"]
            assert math.isclose(float(ours["btc_price"]), float(theirs["btc_price"]), abs_tol=CENT)
            assert math.isclose(float(ours["bid_1_price"]), float(theirs["bid_1_price"]), abs_tol=CENT)
