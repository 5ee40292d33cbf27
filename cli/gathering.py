"""What a training worker does: play one episode with the given weights, and cut what was heard into segments."""

from collections import Counter
from functools import lru_cache

import msgspec

from actors.learning import step_of
from cli.rollout import EpisodeResult, Terms, run_episode
from cli.stages import Shown, stage_of
from core.errors import FatalError
from models.plain import PlainPolicy
from models.ppo.hyper import RewardProfile
from models.ppo.step import Segment
from models.ppo.trajectory import Trajectories
from models.weights import Weights


class Gathering(msgspec.Struct, frozen=True):
    """One task: a stage, the weights (a safetensors file's bytes) that decide in it, and what they are paid for.

    `draw` tells plays of the same stage apart.
    """

    shown: Shown
    weights: bytes
    terms: Terms
    reward: RewardProfile
    draw: int = 0


class Gathered(msgspec.Struct, frozen=True):
    """What came of it; dollars in 1e-6, `actions` counts HOLD, BUY and SELL."""

    segments: list[Segment]
    windows: int
    trades: int
    wins: int
    fees_usd: int
    pnl_net_usd: int
    actions: tuple[int, int, int]

    @property
    def steps(self) -> int:
        """Transitions to learn from."""
        return sum(len(segment) for segment in self.segments)


def gather(task: Gathering) -> Gathered:
    """Play an episode.

    Raises:
        FatalError: a window was not settled by the end of its episode, which is a defect.
    """
    policy = _policy(task.weights)
    result = run_episode(stage_of(task.shown), lambda: policy, task.terms, draw=task.draw)
    counts = Counter(transition.action for transition in result.transitions)
    return Gathered(
        segments=segments_of(result, policy.weights, task.reward),
        windows=len(result.winners),
        trades=len(result.trades),
        wins=sum(trade.pnl_net_usd > 0 for trade in result.trades),
        fees_usd=sum(fill.fee_usd for fill in result.fills),
        pnl_net_usd=sum(trade.pnl_net_usd for trade in result.trades),
        actions=(counts[0], counts[1], counts[2]),
    )


def segments_of(result: EpisodeResult, weights: Weights, reward: RewardProfile) -> list[Segment]:
    """Return one segment per window of an episode that was decided by these weights, each whole.

    Raises:
        FatalError: a window in which something is held was not settled.
    """
    kept = Trajectories(weights.schema.size, reward)
    for heard in result.transitions:
        kept.add((heard.asset, heard.condition_id), step_of(heard, weights.version), done=heard.done)
    for ended in result.ended:
        kept.close((ended.asset, ended.condition_id), ended.pnl_net_usd)
    if kept.waiting:
        raise FatalError(f"episode {result.stage}: {kept.waiting} ended with something held and were not settled")
    return kept.take()


@lru_cache(maxsize=1)
def _policy(weights: bytes) -> PlainPolicy:
    return PlainPolicy(Weights.from_bytes(weights))
