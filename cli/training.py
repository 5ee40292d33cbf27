"""The training loop: episodes played by workers with the present weights, one update on what they bring, again.

Every update begins from the checkpoint of the one before it and from episodes whose numbers follow from it: a run that
was stopped goes on as if it had not been.
"""

import itertools
import time
from collections.abc import Callable, Iterator, Sequence

import msgspec

from cli.gathering import Gathered, Gathering, gather
from cli.recorded_stage import Recorded, recorded_stages
from cli.rollout import GRID_MS
from cli.simulated import episode_of
from cli.stages import Shown
from cli.training_folder import Plan, Progress, RunFolder
from cli.workers import Workers
from core.trading.money import MICRO
from models.ppo.report import UpdateReport
from models.ppo.state import TrainingState
from models.ppo.update import update


class Told(msgspec.Struct, frozen=True):
    """One update as it goes into the log and onto the screen; dollars, means per window of one asset."""

    update: int
    windows: int
    steps: int
    pnl_net_per_window_usd: float
    fees_per_window_usd: float
    trades_per_window: float
    win_rate: float | None
    hold_share: float
    seconds: float
    seconds_updating: float
    report: UpdateReport


class Training:
    """One run from where it stands to its last window."""

    def __init__(self, folder: RunFolder, progress: Progress, state: TrainingState) -> None:
        self.folder = folder
        self.progress = progress
        self.state = state

    @property
    def finished(self) -> bool:
        """Whether all windows asked for were played."""
        return self.progress.windows >= self.folder.plan.windows

    def run(self, workers: Workers, told: Callable[[Told], None]) -> None:
        """Go on to the end; `told` hears of every update once it is on disk."""
        while not self.finished:
            told(self._round(workers))

    def _round(self, workers: Workers) -> Told:
        plan, began_s = self.folder.plan, time.perf_counter()
        profile, weights = plan.profile, self.state.weights.to_bytes()
        shown = list(itertools.islice(_shown(plan, self.progress.episodes), self._episodes()))
        tasks = [
            Gathering(each, weights, profile.terms, profile.ppo.reward, draw)
            for draw, each in enumerate(shown, start=self.progress.episodes)
        ]
        gathered = list(workers.map(gather, tasks))
        played_s = time.perf_counter()
        segments = [segment for each in gathered for segment in each.segments]
        self.state, report = update(self.state, segments, profile.ppo)
        self.progress = Progress(
            self.progress.rounds + 1,
            self.progress.windows + sum(each.windows for each in gathered),
            self.progress.episodes + len(shown),
        )
        ended_s = time.perf_counter()
        told = _told(self.progress, gathered, report, ended_s - began_s, ended_s - played_s)
        self.folder.log(msgspec.to_builtins(told))
        self.folder.save(self.progress, self.state)
        if plan.keep_every and self.progress.rounds % plan.keep_every == 0:
            self.export(f"policy-{self.progress.rounds:05d}.safetensors")
        return told

    def export(self, name: str) -> None:
        """Write the present policy."""
        self.folder.export(self.progress, self.state.weights, name)

    def _episodes(self) -> int:
        """Return how many episodes fill the buffer: as many for each environment."""
        plan = self.folder.plan
        profile = plan.profile
        steps = len(profile.assets) * profile.episode_windows * profile.window_s * 1000 // GRID_MS
        needed = -(-profile.ppo.buffer // max(1, steps))
        return -(-needed // plan.envs) * plan.envs


def _shown(plan: Plan, first: int) -> Iterator[Shown]:
    """Yield what is played from episode `first` on: the worlds in turn, or the recording over and over."""
    profile = plan.profile
    if plan.recordings is not None:
        stretches = len(recorded_stages(plan.recordings))
        for number in itertools.count(first):
            yield Recorded(plan.recordings, number % stretches)
    for number in itertools.count(first):
        world = plan.worlds[number % len(plan.worlds)]
        yield episode_of(world, plan.seed, number, profile.window_s, profile.assets, profile.episode_windows)


def _told(
    progress: Progress, gathered: Sequence[Gathered], report: UpdateReport, seconds: float, updating_s: float
) -> Told:
    windows = sum(each.windows for each in gathered)
    trades = sum(each.trades for each in gathered)
    actions = [sum(counts) for counts in zip(*(each.actions for each in gathered), strict=True)]
    return Told(
        update=progress.rounds,
        windows=progress.windows,
        steps=sum(each.steps for each in gathered),
        pnl_net_per_window_usd=sum(each.pnl_net_usd for each in gathered) / windows / MICRO,
        fees_per_window_usd=sum(each.fees_usd for each in gathered) / windows / MICRO,
        trades_per_window=trades / windows,
        win_rate=sum(each.wins for each in gathered) / trades if trades else None,
        hold_share=actions[0] / max(1, sum(actions)),
        seconds=round(seconds, 3),
        seconds_updating=round(updating_s, 3),
        report=report,
    )
