"""The passes of one update over its rows: shuffled minibatches, and an end before the last where KL runs away."""

import mlx.core as mx
import numpy as np
import numpy.typing as npt

from models.architecture import NETWORKS
from models.ppo import gradient
from models.ppo.flat import flatten
from models.ppo.gradient import BETA_MEAN, BETA_SQUARE, Diagnostics, Learnt, Settings
from models.ppo.hyper import Hyperparameters
from models.ppo.rows import Rows
from models.ppo.state import TrainingState, rng_of
from models.ppo.step import FloatArray

_UNCLIPPED = 1e30


class Epochs:
    """The parameters while they change. Use within `LEARNING.turn()`; nothing unevaluated is left behind.

    `stopped` says why epochs were left out, `last` holds the last epoch's diagnostics, means over its minibatches.
    """

    def __init__(self, state: TrainingState, hyper: Hyperparameters) -> None:
        self._hyper = hyper
        vectors = [
            vector
            for network in NETWORKS
            for vector in (flatten(network, state.weights.tensors), state.means[network], state.squares[network])
        ]
        self._learnt = Learnt(*(mx.array(vector) for vector in vectors))
        self._constants = [
            mx.array(number, mx.float32)
            for number in (
                hyper.lr_actor,
                hyper.lr_critic,
                hyper.clip,
                hyper.entropy_at(state.updates),
                hyper.value_clip or _UNCLIPPED,
                hyper.grad_norm,
            )
        ]
        self.rng = rng_of(state.rng)
        self.adam_steps = state.adam_steps
        self.done = 0
        self.stopped: str | None = None
        self.first_ratio_error = 0.0
        self.last: dict[str, float] = {}

    def evaluate(self, features: FloatArray, history: FloatArray, actions: npt.NDArray[np.int32]) -> FloatArray:
        """Return log-probability of the action, value and entropy of each row, shape (3, N)."""
        size, count = self._hyper.batch, len(actions)
        chunks = []
        for start in range(0, count, size):
            rows = np.minimum(np.arange(start, start + size), count - 1)
            columns = (features[rows], history[rows], actions[rows, None])
            answer = gradient.evaluate(
                self._learnt.actor, self._learnt.critic, *(mx.array(column) for column in columns)
            )
            chunks.append(np.array(answer)[..., 0])
        return np.concatenate(chunks, axis=1)[:, :count]

    def learn(self, rows: Rows) -> str | None:
        """Run the epochs; return what went wrong, if anything did."""
        for _ in range(self._hyper.epochs):
            found = self.epoch(rows)
            wrong = [name for name, column in found.items() if not np.isfinite(column).all()]
            if wrong:
                return f"not finite in epoch {self.done}: {', '.join(wrong)}"
            if self.done == 1:
                self.first_ratio_error = float(found["ratio_error"][0])
            self.last = {name: float(column.mean()) for name, column in found.items() if name in _TOLD}
            if self.last["kl"] > self._hyper.target_kl:
                self.stopped = f"KL {self.last['kl']:.3g} in epoch {self.done}, above {self._hyper.target_kl:g}"
                break
        finite = all(np.isfinite(vector).all() for vector in self.vectors())
        return None if finite else f"not finite after epoch {self.done}: the parameters"

    def entropy(self, rows: Rows) -> float:
        """Return the policy's mean entropy over the rows that teach the actor, in nats; 0 without one."""
        learns = rows.learns[:, 0] > 0
        found = self.evaluate(rows.features, rows.history, rows.actions[:, 0])[2]
        return float(found[learns].mean()) if learns.any() else 0.0

    def vectors(self) -> tuple[FloatArray, ...]:
        """Return parameters and moments in the order of `Learnt`."""
        return tuple(np.array(vector) for vector in self._learnt)

    def epoch(self, rows: Rows) -> dict[str, FloatArray]:
        """Make one pass over the rows; return each diagnostic, one number per minibatch."""
        count = len(rows.actions)
        # of like size, so that no gradient comes from a handful of steps
        parts = np.array_split(self.rng.permutation(count), -(-count // self._hyper.batch))
        found = [self.minibatch(rows, chosen) for chosen in parts]
        self.done += 1
        return {name: np.array([getattr(each, name).item() for each in found]) for name in Diagnostics._fields}

    def minibatch(self, rows: Rows, chosen: npt.NDArray[np.intp]) -> Diagnostics:
        """Make one step of the gradient on the chosen rows, and evaluate it."""
        self.adam_steps += 1
        batch = rows.batch(chosen, self._hyper.batch)
        self._learnt, diagnostics, stages = gradient.step(self._learnt, batch, self._settings())
        gradient.settle(self._learnt, diagnostics, stages)
        return diagnostics

    def _settings(self) -> Settings:
        corrections = (1.0 / (1.0 - beta**self.adam_steps) for beta in (BETA_MEAN, BETA_SQUARE))
        return Settings(*self._constants, *(mx.array(correction, mx.float32) for correction in corrections))


_TOLD = ("policy_loss", "value_loss", "kl", "clip_fraction", "actor_norm", "critic_norm")
