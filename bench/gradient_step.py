"""What a step of PPO's gradient costs, both networks, batch 64: compiled, beside the same step written eagerly.

Run as `python -m bench.gradient_step [STEPS]`. The eager way is the reference's: automatic differentiation of each
network's loss, `mlx.optimizers.Adam`, an evaluation per network and batch, and losses, entropy, divergence, clip
fraction and norms read back as Python numbers after every batch. It takes its figures from the same forward pass as
the gradient, which flatters it if anything. Both ways spend 3 ms in the matrix products of MLX's Linux build, netlib's
BLAS. On a machine with other work the tenth percentile tells more than the median. Then one whole update at 256
transitions and ten epochs.
"""

import sys
import time
from collections.abc import Callable

import mlx.core as mx
import mlx.optimizers
import numpy as np

from models.checkpoint import fresh_weights
from models.networks import actor_logits, critic_value
from models.ppo.epochs import Epochs
from models.ppo.flat import unflatten
from models.ppo.gradient import Batch
from models.ppo.hyper import Hyperparameters
from models.ppo.rows import Rows
from models.ppo.state import TrainingState
from models.ppo.step import Segment
from models.ppo.update import update
from models.streams import LEARNING

BATCH, BUFFER = 64, 256
HYPER = Hyperparameters(target_kl=1e6)
"""The shipped profile without the early stop, so that every run makes all its epochs."""
TARGET_RATIO = 2.5
AGREEMENT = 1e-4
ROUND = 5
"""Epochs of one way before the other's turn: a busy moment of the machine then falls on both."""

Tensors = dict[str, mx.array]


def main(steps: int = 1000) -> None:
    """Print the median step of both ways in milliseconds, how often ours fits into theirs, and one whole update."""
    state = TrainingState.fresh(fresh_weights(1), 1)
    rows = _rows()
    began = time.perf_counter()
    ours = Compiled(state)
    ours.epoch(rows)
    print(f"warm-up {time.perf_counter() - began:.1f} s")
    _compare(state, rows)
    ways: dict[str, Callable[[Rows], None]] = {"compiled": ours.epoch, "eager": Eager(state).epoch}
    taken: dict[str, list[float]] = {name: [] for name in ways}
    worked: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(0, steps, ROUND * BUFFER // BATCH):
        for name, epoch in ways.items():
            for _ in range(ROUND):
                wall, cpu = time.perf_counter(), time.process_time()
                epoch(rows)
                taken[name].append((time.perf_counter() - wall) * 1000 * BATCH / BUFFER)
                worked[name].append((time.process_time() - cpu) * 1000 * BATCH / BUFFER)
    for name in ways:
        print(
            f"{name:9s} step median {np.median(taken[name]):6.2f} ms   p10 {np.percentile(taken[name], 10):6.2f} ms   "
            f"processor {np.median(worked[name]):6.2f} ms   n {len(taken[name]) * BUFFER // BATCH}"
        )
    median, quiet = (
        float(np.percentile(taken["eager"], share) / np.percentile(taken["compiled"], share)) for share in (50, 10)
    )
    verdict = "met" if quiet >= TARGET_RATIO else "missed"
    print(f"ratio {median:.2f} at the median, {quiet:.2f} undisturbed (p10; target {TARGET_RATIO}: {verdict})")
    _whole_updates(state)


def _whole_updates(state: TrainingState, updates: int = 10) -> None:
    segments = [segment(seed, BUFFER // 4) for seed in range(4)]
    taken = []
    for _ in range(updates):
        began = time.perf_counter()
        state, report = update(state, segments, HYPER)
        taken.append((time.perf_counter() - began) * 1000)
    print(
        f"update of {report.steps} transitions, {report.epochs} epochs: median {np.median(taken):.0f} ms, "
        f"longest {max(taken):.0f} ms, n {updates}"
    )


def segment(seed: int, steps: int) -> Segment:
    """Return random steps of one window, cut in its middle."""
    rng = np.random.default_rng(seed)
    size = fresh_weights(0).schema.size
    history = rng.uniform(-1, 1, (steps + 1, 5 * size)).astype(np.float32)
    return Segment(
        asset="BTC",
        condition_id=f"0x{seed}",
        features=history[:steps, -size:],
        history=history[:steps],
        actions=rng.integers(0, 3, steps).astype(np.int32),
        log_probs=np.full(steps, -1.1, np.float32),
        versions=np.zeros(steps, np.int64),
        learns=np.ones(steps, np.bool_),
        rewards_usd=rng.normal(0, 1e6, steps).astype(np.int64),
        next_features=history[steps, -size:],
        next_history=history[steps],
    )


class Compiled:
    """The learner's own epochs."""

    def __init__(self, state: TrainingState) -> None:
        with LEARNING.turn():
            self.run = Epochs(state, HYPER)

    def epoch(self, rows: Rows) -> None:
        """Make one pass over the rows."""
        with LEARNING.turn():
            self.run.epoch(rows)


class Eager:
    """The same epoch the reference's way."""

    def __init__(self, state: TrainingState) -> None:
        self.rng = np.random.Generator(np.random.PCG64(1))
        with LEARNING.turn():
            tensors = {name: mx.array(tensor) for name, tensor in state.weights.tensors.items()}
            self.networks = [
                {name: tensor for name, tensor in tensors.items() if name.startswith(network)}
                for network in ("actor", "critic")
            ]
            self.adams = [mlx.optimizers.Adam(rate, bias_correction=True) for rate in (HYPER.lr_actor, HYPER.lr_critic)]
            mx.eval(self.networks)

    def epoch(self, rows: Rows) -> None:
        """Make one pass over the rows."""
        with LEARNING.turn():
            for chosen in np.array_split(self.rng.permutation(BUFFER), BUFFER // BATCH):
                self.step(rows.batch(chosen, BATCH))

    def step(self, batch: Batch) -> list[float]:
        """Make one step on both networks and read everything back."""
        read = []
        for number, loss in enumerate((_actor_loss, _critic_loss)):
            told, gradients = mx.value_and_grad(loss)(self.networks[number], batch)
            gradients, norm = mlx.optimizers.clip_grad_norm(gradients, HYPER.grad_norm)  # type: ignore[no-untyped-call]
            self.networks[number] = self.adams[number].apply_gradients(gradients, self.networks[number])
            mx.eval(self.networks[number], self.adams[number].state)
            read += [figure.item() for figure in (*told, norm)]
        return read


def _actor_loss(tensors: Tensors, batch: Batch) -> tuple[mx.array, ...]:
    chances = mx.softmax(actor_logits(tensors, batch.features, batch.history), axis=-1)
    logs = mx.log(chances + 1e-8)
    change = mx.take_along_axis(logs, batch.actions, axis=-1) - batch.log_probs
    ratio = mx.exp(change)
    clipped = mx.clip(ratio, 1 - HYPER.clip, 1 + HYPER.clip)
    policy = -mx.mean(mx.minimum(ratio * batch.advantages, clipped * batch.advantages))
    entropy = -mx.mean(mx.sum(chances * logs, axis=-1))
    kl, outside = mx.mean(ratio - 1 - change), mx.mean(mx.abs(ratio - 1) > HYPER.clip)
    return policy - HYPER.entropy * entropy, policy, entropy, kl, outside


def _critic_loss(tensors: Tensors, batch: Batch) -> tuple[mx.array, ...]:
    value = critic_value(tensors, batch.features, batch.history)
    near = batch.values + mx.clip(value - batch.values, -HYPER.value_clip, HYPER.value_clip)
    square = mx.maximum(mx.square(value - batch.returns), mx.square(near - batch.returns))
    return (0.5 * mx.mean(square),)


def _compare(state: TrainingState, rows: Rows) -> None:
    """Refuse to time two ways that do not change the networks alike."""
    ours, theirs = Compiled(state), Eager(state)
    chosen = np.arange(BATCH)
    with LEARNING.turn():
        ours.run.minibatch(rows, chosen)
        theirs.step(rows.batch(chosen, BATCH))
        actor, _, _, critic, _, _ = ours.run.vectors()
        found = unflatten({"actor": actor, "critic": critic}, state.weights.schema.size)
        for network in theirs.networks:
            for name, tensor in network.items():
                if np.abs(np.array(tensor) - found[name]).max() > AGREEMENT:
                    sys.exit(f"the two ways disagree on {name}")


def _rows() -> Rows:
    rng = np.random.default_rng(2)
    made = segment(0, BUFFER)
    columns = (np.full(BUFFER, -1.1), *rng.normal(0, 1, (3, BUFFER)), np.ones(BUFFER))
    floats = [column.astype(np.float32)[:, None] for column in columns]
    return Rows(made.features, made.history, made.actions[:, None], *floats)


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:2]))
