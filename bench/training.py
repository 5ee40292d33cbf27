"""Windows a minute and transitions a second of training: episodes of four assets at W = 900, and the update on them.

    python -m bench.training [--envs N] [--episodes N]

Each process first plays an episode that does not count: it imports, and computes its first day of the world. CPU
seconds are those of the workers, so that a busy machine shows.
"""

import argparse
import os
import sys
import time

import msgspec

from cli.gathering import Gathered, Gathering, gather
from cli.simulated import episode_of
from cli.training_profile import SHIPPED, read_profile
from cli.workers import Workers
from models.checkpoint import fresh_weights
from models.ppo.state import TrainingState
from models.ppo.update import update

SEED = 1


class Timed(msgspec.Struct, frozen=True, eq=False):
    """One episode and the CPU seconds it took."""

    gathered: Gathered
    cpu_s: float


def timed(task: Gathering) -> Timed:
    """Play one episode in a worker."""
    began_s = time.process_time()
    return Timed(gather(task), time.process_time() - began_s)


def main() -> int:
    """Print the figures."""
    parser = argparse.ArgumentParser(prog="python -m bench.training", description=__doc__)
    parser.add_argument("--envs", type=int, default=2)
    parser.add_argument("--episodes", type=int, default=8)
    chosen = parser.parse_args()
    profile = read_profile(SHIPPED)
    state = TrainingState.fresh(fresh_weights(SEED, profile.feature_schema), SEED)
    weights = state.weights.to_bytes()
    tasks = [
        Gathering(
            episode_of("lagged", SEED, number, profile.window_s, profile.assets),
            weights,
            profile.terms,
            profile.ppo.reward,
        )
        for number in range(chosen.envs + chosen.episodes)
    ]
    with Workers(chosen.envs) as workers:
        list(workers.map(timed, tasks[: chosen.envs]))
        began_s = time.perf_counter()
        played = list(workers.map(timed, tasks[chosen.envs :]))
        played_s = time.perf_counter() - began_s
    segments = [segment for each in played for segment in each.gathered.segments]
    update(state, segments, profile.ppo)  # compiles
    began_s, began_cpu_s = time.perf_counter(), time.process_time()
    update(state, segments, profile.ppo)
    updated_s, updated_cpu_s = time.perf_counter() - began_s, time.process_time() - began_cpu_s
    windows = sum(each.gathered.windows for each in played)
    steps = sum(each.gathered.steps for each in played)
    cpu_s = sum(each.cpu_s for each in played)
    market_s = chosen.episodes * profile.episode_windows * profile.window_s
    print(f"{windows} windows of {profile.window_s} s, {steps} transitions, {chosen.envs} processes")
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    print(f"played in {played_s:.1f} s, {cpu_s:.1f} s of CPU: {market_s / cpu_s:.0f} market seconds per CPU second")
    print(f"updated in {updated_s:.1f} s, {updated_cpu_s:.1f} s of CPU ({profile.ppo.epochs} epochs)")
    both_s = played_s + updated_s
    print(f"{windows * 60 / both_s:.0f} windows a minute, {steps / both_s:.0f} transitions a second, update included")
    return 0


if __name__ == "__main__":
    sys.exit(main())
