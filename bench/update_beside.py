"""What an update costs the decisions that are taken while it runs, in one process, as the system runs them.

Run as `python -m bench.update_beside [ROUNDS]`. Policies of four assets decide in threads of their own, paced, on the
stream of inference; an update of 256 transitions and ten epochs runs over and over in another thread, on the stream of
learning. Rounds with and without it take turns.
"""

import sys
import threading
import time

import numpy as np

from bench.gradient_step import HYPER, segment
from models.checkpoint import fresh_weights
from models.policy import Policy
from models.ppo.state import TrainingState
from models.ppo.update import update

ASSETS = 4
DECISIONS = 100
"""Per asset and round."""
PACE_S = 0.01
TARGET_RATIO = 2.0
SWITCH_INTERVAL_S = 0.0005
"""As the system sets it."""


def main(rounds: int = 12) -> None:
    """Print p50 and p99 of a decision in microseconds with and without an update, and the ratio."""
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    policies = [Policy(fresh_weights(seed)) for seed in range(ASSETS)]
    policies[0].warm_up()
    learner = Updates()
    taken: dict[bool, list[float]] = {False: [], True: []}
    for _ in range(rounds):
        for busy in taken:
            if busy:
                learner.resume()
            taken[busy] += _decisions_us(policies)
            learner.pause()
    learner.stop()
    for busy, latencies in taken.items():
        name = "update beside" if busy else "alone"
        p50, p99 = np.percentile(latencies, 50), np.percentile(latencies, 99)
        print(f"{name:14s} p50 {p50:7.0f} us   p99 {p99:7.0f} us   n {len(latencies)}")
    ratio = float(np.percentile(taken[True], 99) / np.percentile(taken[False], 99))
    verdict = "met" if ratio < TARGET_RATIO else "missed"
    print(f"updates {learner.updates}   p99 ratio {ratio:.2f} (target below {TARGET_RATIO:g}: {verdict})")


class Updates:
    """A thread that updates a line of weights without a pause, between `resume` and `pause`."""

    def __init__(self) -> None:
        self.updates = 0
        self._run = threading.Event()
        self._resting = threading.Event()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._work, name="updates")
        self._thread.start()
        self._resting.wait()

    def resume(self) -> None:
        """Begin, or go on."""
        self._resting.clear()
        self._run.set()

    def pause(self) -> None:
        """Rest, when the update under way is done; returns then."""
        self._run.clear()
        self._resting.wait()

    def stop(self) -> None:
        """End the thread."""
        self._end.set()
        self._run.set()
        self._thread.join()

    def _work(self) -> None:
        segments = [segment(seed, 64) for seed in range(4)]
        state, _ = update(TrainingState.fresh(fresh_weights(9), 9), segments, HYPER)
        while not self._end.is_set():
            if not self._run.is_set():
                self._resting.set()
                self._run.wait()
                continue
            state, _ = update(state, segments, HYPER)
            self.updates += 1


def _decisions_us(policies: list[Policy]) -> list[float]:
    taken: list[float] = []

    def decide(policy: Policy, seed: int) -> None:
        rng = np.random.default_rng(seed)
        features = rng.uniform(-1, 1, 18).astype(np.float32)
        history = rng.uniform(-1, 1, (5, 18)).astype(np.float32)
        policy.evaluate(features, history)  # a thread's first one makes its stream ready
        latencies = []
        time.sleep(PACE_S * seed / len(policies))
        for _ in range(DECISIONS):
            time.sleep(PACE_S)
            began = time.perf_counter_ns()
            policy.evaluate(features, history)
            latencies.append((time.perf_counter_ns() - began) / 1000)
        taken.extend(latencies)

    threads = [threading.Thread(target=decide, args=(policy, seed)) for seed, policy in enumerate(policies)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return taken


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:2]))
