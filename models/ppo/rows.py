"""The steps of all segments as columns, with advantages and returns from values that were evaluated once."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import mlx.core as mx
import numpy as np
import numpy.typing as npt

from core.errors import RejectedError
from core.market.features import HISTORY_STATES
from models.ppo.gae import Floats, advantages
from models.ppo.gradient import Batch
from models.ppo.hyper import Hyperparameters
from models.ppo.normaliser import RewardNormaliser
from models.ppo.step import FloatArray, Segment

USD = 1e-6
_TINY = 1e-8

Evaluate = Callable[[FloatArray, FloatArray, npt.NDArray[np.int32]], FloatArray]
"""Features (N, n), history (N, 5 n), actions (N,) in; their log-probabilities, values and entropies out, (3, N)."""


class Rows(NamedTuple):
    """N steps, in columns of shape (N, 1) but for features and history; advantages and returns are normalised."""

    features: FloatArray
    history: FloatArray
    actions: npt.NDArray[np.int32]
    log_probs: FloatArray
    advantages: FloatArray
    returns: FloatArray
    values: FloatArray
    learns: FloatArray

    def batch(self, chosen: npt.NDArray[np.intp], size: int) -> Batch:
        """Return the chosen rows padded to `size`, so that every minibatch has the shape that was compiled."""
        present = np.zeros((size, 1), np.float32)
        present[: len(chosen)] = 1.0
        padded = np.zeros(size, np.intp)
        padded[: len(chosen)] = chosen
        *columns, learns = (column[padded] for column in self)
        return Batch(*(mx.array(column) for column in (*columns, learns * present, present)))


class Told(NamedTuple):
    """What there is to tell about rows; `UpdateReport` says what each number is."""

    taught: int
    stale: int
    explained_variance: float
    log_prob_gap: float


def check(segments: Sequence[Segment], features: int) -> None:
    """Refuse segments that these networks cannot learn from.

    Raises:
        RejectedError: no step, or another number of features.
    """
    if not any(len(segment) for segment in segments):
        raise RejectedError("an update needs a step at least")
    for segment in segments:
        width = segment.features.shape[1]
        if width != features or segment.history.shape[1] != HISTORY_STATES * features:
            where = f"{segment.asset} {segment.condition_id}"
            raise RejectedError(f"{where}: states of {width} features, the networks take {features}")


def gather(
    segments: Sequence[Segment],
    version: int,
    evaluate: Evaluate,
    normaliser: RewardNormaliser,
    hyper: Hyperparameters,
) -> tuple[Rows, Told]:
    """Return the rows of all segments, and what there is to tell about them.

    Every state, those after a segment's end included, is evaluated once, before anything is learnt. A step decided by
    weights of `version` gets the log-probability found here; others keep what was recorded.
    """
    actions, recorded, versions, learns, rewards = (
        np.concatenate([getattr(segment, name) for segment in segments])
        for name in ("actions", "log_probs", "versions", "learns", "rewards_usd")
    )
    after = [(s.next_features, s.next_history) for s in segments if s.next_features is not None]
    features = np.concatenate([s.features for s in segments] + [row[None] for row, _ in after])
    history = np.concatenate([s.history for s in segments] + [row[None] for _, row in after if row is not None])
    count = len(actions)
    found, values, _ = evaluate(features, history, np.append(actions, np.zeros(len(after), np.int32)))

    current = versions == version
    scaled = normaliser.scaled(rewards * USD)
    estimates = _estimates(segments, scaled, values.astype(np.float64), hyper)
    returns = estimates + values[:count]
    if hyper.normalise_advantages and learns.any():
        taught = estimates[learns]
        estimates = (estimates - taught.mean()) / (taught.std() + _TINY)
    gap = np.abs(found[:count] - recorded)[current]
    told = Told(
        taught=int(learns.sum()),
        stale=int(count - current.sum()),
        explained_variance=_explained(returns, values[:count]),
        log_prob_gap=float(gap.max(initial=0.0)),
    )
    columns = (np.where(current, found[:count], recorded), estimates, returns, values[:count], learns)
    floats = (np.asarray(column, np.float32)[:, None] for column in columns)
    return Rows(features[:count], history[:count], actions[:, None], *floats), told


def _estimates(segments: Sequence[Segment], rewards: Floats, values: Floats, hyper: Hyperparameters) -> Floats:
    """Advantages of every step; `values` holds one per step, then one per segment that goes on."""
    estimates, start, following = [], 0, len(rewards)
    for segment in segments:
        end = start + len(segment)
        bootstrap = 0.0
        if segment.next_features is not None:
            bootstrap = float(values[following])
            following += 1
        estimates.append(advantages(rewards[start:end], values[start:end], bootstrap, hyper.gamma, hyper.lam))
        start = end
    return np.concatenate(estimates)


def _explained(returns: Floats, values: npt.NDArray[np.floating]) -> float:
    """Share of the returns' variance that the values account for; 0 where returns do not vary."""
    variance = float(np.var(returns))
    return 0.0 if variance < _TINY else 1.0 - float(np.var(returns - values)) / variance
