"""Policies that nobody trained: what a trained one has to beat. Each is a name on the command line."""

from collections.abc import Callable

from core.errors import FatalError
from models.baselines.baseline import Baseline
from models.baselines.prices import FadeSpike, MeanReversion, Momentum
from models.baselines.simple import Hold, Random
from models.baselines.value import FairValue, Oracle, TrueValue

__all__ = ["NAMES", "ORACLE", "Baseline", "UnknownBaselineError", "make_baseline"]

ORACLE = "oracle"
NAMES = ("hold", "random", "momentum", "mean-reversion", "fade-spike", "fair-value", ORACLE)


class UnknownBaselineError(FatalError):
    """Raised for a name that no baseline has, or for the oracle where nobody knows the true value."""


def make_baseline(name: str, *, seed: int = 0, settles: bool = False, true_value: TrueValue | None = None) -> Baseline:
    """Return a baseline with a memory of its own: one for each asset.

    Args:
        name: one of `NAMES`.
        seed: of what is random.
        settles: whether positions are held to settlement, so that no exit has to be paid for.
        true_value: P(Up) of an asset's market (asset, unix second of its opening) at a unix millisecond, without lag.

    Raises:
        UnknownBaselineError: there is no such baseline, or the oracle has no true value to know.
    """
    if name == ORACLE:
        if true_value is None:
            raise UnknownBaselineError("the oracle knows the true value, which only a simulated world has")
        return Oracle(true_value, settles=settles)
    makers: dict[str, Callable[[], Baseline]] = {
        "hold": Hold,
        "random": lambda: Random(seed),
        "momentum": Momentum,
        "mean-reversion": MeanReversion,
        "fade-spike": FadeSpike,
        "fair-value": lambda: FairValue(settles=settles),
    }
    if name not in makers:
        raise UnknownBaselineError(f"no policy named {name}: take one of {', '.join(NAMES)}, or a checkpoint's file")
    return makers[name]()
