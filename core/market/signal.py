"""One number for the screen: where the fast venue and the slow book, taken together, point."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from core.market.features import REFERENCE_FEATURES

_WEIGHTS = {
    # the fast venue, 70 %: what already moved, and who is pushing
    "returns_1m": 0.25,
    "returns_5m": 0.10,
    "trade_flow_imbalance": 0.20,
    "cvd_acceleration": 0.15,
    # the slow book, 30 %: what it has not repriced yet
    "book_imbalance_l1": 0.15,
    "book_imbalance_l5": 0.15,
}
_TERMS = tuple((REFERENCE_FEATURES.names.index(name), weight) for name, weight in _WEIGHTS.items())


def fused_signal(features: npt.NDArray[np.float32] | Sequence[float]) -> float:
    """Return the weighted mean of the directional features, in [-1, 1]: positive leans to Up, negative to Down.

    Takes one state of `REFERENCE_FEATURES`, shape (18,). The weights add up to 1 and are fixed: it is a summary for
    people and decides nothing, the policy does.
    """
    total = sum(float(features[index]) * weight for index, weight in _TERMS)
    return max(-1.0, min(1.0, total))
