"""The state a policy sees: the reference's eighteen features, their schema, and the short history of past states."""

import math
from typing import Literal

import msgspec
import numpy as np
import numpy.typing as npt

from core.errors import RejectedError

FloatArray = npt.NDArray[np.float32]

HISTORY_STATES = 5
"""Past states a policy sees, the present one included."""

VOLATILITY_SAMPLES = 30
"""Mids of the Up token that the 5-minute volatility is taken from; with fewer it counts as 0."""


class FeatureSchema(msgspec.Struct, frozen=True):
    """The name, version and order of the features that a set of weights was trained on."""

    name: str
    version: int
    names: tuple[str, ...]

    @property
    def size(self) -> int:
        """Features per state."""
        return len(self.names)


REFERENCE_FEATURES = FeatureSchema(
    name="reference",
    version=1,
    names=(
        "returns_1m",
        "returns_5m",
        "returns_10m",
        "book_imbalance_l1",
        "book_imbalance_l5",
        "trade_flow_imbalance",
        "cvd_acceleration",
        "spread",
        "trade_intensity",
        "large_trade_flag",
        "volatility_5m",
        "volatility_expansion",
        "has_position",
        "position_side",
        "position_pnl",
        "time_remaining",
        "volatility_regime",
        "trend_regime",
    ),
)

FUSED_FEATURES = FeatureSchema(
    name="fused",
    version=1,
    names=(
        "fair",
        "price",
        "gap",
        "edge_up",
        "edge_down",
        "edge_exit",
        "fair_move_1s",
        "fair_move_2s",
        "fair_move_5s",
        "fair_move_10s",
        "distance",
        "volatility",
        "volatility_expansion",
        "book_imbalance_l1",
        "book_imbalance_l5",
        "trade_flow_imbalance",
        "cvd_acceleration",
        "trade_intensity",
        "large_trade_flag",
        "spread",
        "position_side",
        "position_return",
        "time_remaining",
        "can_open",
        "fee",
        "book_age",
    ),
)
"""See `core.market.fused_features`."""

SCHEMAS = {(schema.name, schema.version): schema for schema in (REFERENCE_FEATURES, FUSED_FEATURES)}
"""Every feature schema this version can compute, by name and version."""


class MarketInputs(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The raw numbers of one asset at one moment, before scaling; all floats are plain, none is money.

    `prob` is the Up token's mid in [0, 1] and `prob_history` the mids before and including it, oldest first: the last
    30 matter. `spread` is in the same unit, returns are fractions, `position_pnl` is in dollars, `time_remaining` the
    fraction of the window still to come.
    """

    asset: str
    prob_history: tuple[float, ...]
    prob: float
    time_remaining: float
    spread: float
    order_book_imbalance_l1: float
    order_book_imbalance_l5: float
    has_position: bool
    position_side: Literal["UP", "DOWN"] | None
    position_pnl: float
    returns_1m: float
    returns_5m: float
    returns_10m: float
    trade_flow_imbalance: float
    cvd_acceleration: float
    trade_intensity: float
    large_trade_flag: float
    vol_expansion: float
    vol_regime: float
    trend_regime: float


_SIDES = {"UP": 1.0, "DOWN": -1.0, None: 0.0}
_ROOT_SAMPLES = math.sqrt(VOLATILITY_SAMPLES)
_LOWEST_PROB = 0.01


def reference_features(inputs: MarketInputs) -> FloatArray:
    """Return the eighteen features of `REFERENCE_FEATURES`, shape (18,), each scaled and clamped to [-1, 1].

    Scalings are the reference's: returns x50, CVD acceleration x10, spread over prob x20, intensity / 10, population
    standard deviation of the last 30 mids x20, PnL / 50.

    Raises:
        RejectedError: when an input is not finite; names the asset and the input.
    """
    recent = inputs.prob_history[-VOLATILITY_SAMPLES:]
    mids = sum(recent)
    volatility = 0.0
    if len(recent) == VOLATILITY_SAMPLES:
        mean = mids / VOLATILITY_SAMPLES
        # the Euclidean distance to the mean is the root of the summed squared deviations, in one call
        volatility = math.dist(recent, (mean,) * VOLATILITY_SAMPLES) / _ROOT_SAMPLES
    prob = inputs.prob
    scaled = (
        inputs.returns_1m * 50.0,
        inputs.returns_5m * 50.0,
        inputs.returns_10m * 50.0,
        inputs.order_book_imbalance_l1,
        inputs.order_book_imbalance_l5,
        inputs.trade_flow_imbalance,
        inputs.cvd_acceleration * 10.0,
        inputs.spread / max(_LOWEST_PROB, prob) * 20.0,
        inputs.trade_intensity / 10.0,
        inputs.large_trade_flag,
        volatility * 20.0,
        inputs.vol_expansion,
        1.0 if inputs.has_position else 0.0,
        _SIDES[inputs.position_side],
        inputs.position_pnl / 50.0,
        inputs.time_remaining,
        inputs.vol_regime,
        inputs.trend_regime,
    )
    # prob and the mids are in the sum because neither a comparison nor a short history lets their NaN through
    if not math.isfinite(sum(scaled) + prob + mids):
        _refuse_non_finite(inputs)
    return np.array([x if -1.0 < x < 1.0 else (1.0 if x > 0.0 else -1.0) for x in scaled], np.float32)


def _refuse_non_finite(inputs: MarketInputs) -> None:
    """Raise for the first input that is not finite; a mere overflow of the scaled sum passes and is clamped."""
    for name in inputs.__struct_fields__:
        value = getattr(inputs, name)
        numbers = value[-VOLATILITY_SAMPLES:] if name == "prob_history" else (value,)
        for number in numbers:
            if isinstance(number, float) and not math.isfinite(number):
                raise RejectedError(f"{inputs.asset}: input {name} is {number}; the state is not usable")


class FeatureHistory:
    """The last five states of one market, oldest first, zero rows where there is none yet.

    Args:
        features: features per state.
    """

    def __init__(self, features: int = REFERENCE_FEATURES.size) -> None:
        self._rows = np.zeros((HISTORY_STATES, features), np.float32)
        self._filled = 0

    def __len__(self) -> int:
        """States held, at most five."""
        return self._filled

    def push(self, features: FloatArray) -> None:
        """Append one state, shape (features,), and drop the oldest.

        Raises:
            RejectedError: for another shape.
        """
        if features.shape != self._rows.shape[1:]:
            raise RejectedError(f"a state has shape {self._rows.shape[1:]}, got {features.shape}")
        self._rows[:-1] = self._rows[1:]
        self._rows[-1] = features
        self._filled = min(self._filled + 1, HISTORY_STATES)

    def array(self) -> FloatArray:
        """Return a copy of the window, shape (5, features)."""
        return self._rows.copy()

    def clear(self) -> None:
        """Forget every state, as when the market changes."""
        self._rows[:] = 0.0
        self._filled = 0

    def dump(self) -> bytes:
        """Return the held states for a checkpoint: little-endian float32 rows, oldest first."""
        return self._rows[HISTORY_STATES - self._filled :].astype("<f4").tobytes()

    def load(self, payload: bytes) -> None:
        """Replace the held states by those of a `dump`.

        Raises:
            RejectedError: when the payload is not whole states of this width, or more than five.
        """
        width = 4 * self._rows.shape[1]
        filled, rest = divmod(len(payload), width)
        if rest or filled > HISTORY_STATES:
            raise RejectedError(f"a history dump is 0 to {HISTORY_STATES} rows of {width} bytes, got {len(payload)}")
        self.clear()
        self._rows[HISTORY_STATES - filled :] = np.frombuffer(payload, "<f4").reshape(filled, self._rows.shape[1])
        self._filled = filled
