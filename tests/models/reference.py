"""The reference's own states and answers, where they are at hand, and small states made by hand."""

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pytest

from core.market.features import MarketInputs

UPSTREAM = Path(__file__).resolve().parents[2] / ".." / "shared" / "upstream"
WEIGHTS = UPSTREAM / "rl_model.safetensors"
FEED_FORWARD_WEIGHTS = UPSTREAM / "phase4_rl_model.safetensors"

needs_reference = pytest.mark.skipif(not WEIGHTS.exists(), reason="the reference's data (../shared/upstream) is absent")


def states() -> list[MarketInputs]:
    return msgspec.json.decode((UPSTREAM / "market_states.json").read_bytes(), type=list[MarketInputs])


def expected() -> dict[str, npt.NDArray[Any]]:
    with np.load(UPSTREAM / "expected.npz") as stored:
        return dict(stored)


def a_state(**changes: object) -> MarketInputs:
    """A calm market at 0.50 with a one-cent spread and no position."""
    calm: dict[str, object] = dict.fromkeys(MarketInputs.__struct_fields__, 0.0)
    calm |= {"asset": "BTC", "prob": 0.5, "spread": 0.01, "prob_history": (0.5,) * 40}
    calm |= {"has_position": False, "position_side": None}
    return msgspec.convert(calm | changes, MarketInputs)
