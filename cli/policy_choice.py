"""Which policy a run decides by: the shipped one, an untrained one, a file's, or a baseline that learns nothing."""

from collections.abc import Callable
from pathlib import Path

import msgspec

from actors.learner import Learning
from actors.market import Policy
from cli.compile_ahead import compile_ahead
from cli.model_line import ModelLine
from cli.policy_files import SHIPPED_FILE
from cli.training_profile import read_profile
from cli.wiring import warm_policy
from config.settings import FRESH, SHIPPED, Settings
from core.market.features import FUSED_FEATURES
from core.records import CheckpointRecord
from models.baselines import make_baseline
from models.checkpoint import fresh_weights, load_weights
from models.weights import Weights


class Baseline(msgspec.Struct, frozen=True):
    """Stands in the place of weights for a policy that has none."""

    name: str


class Choice(msgspec.Struct, frozen=True):
    """The policy of a run: its weights, the name of their line of checkpoints, and where they come from, for people.

    `baseline` decides instead of the weights where one was asked for.
    """

    weights: Weights
    line: str
    source: str
    baseline: Baseline | None = None

    def load(self, models: ModelLine) -> Callable[[], object]:
        """Return what the learner starts from."""
        baseline = self.baseline
        return models.loaded if baseline is None else lambda: baseline


def choice_of(settings: Settings) -> Choice:
    """Return the policy that the settings name.

    Raises:
        WeightsError: the file is missing, damaged, or of another network or feature schema.
    """
    if settings.weights is not None:
        return Choice(load_weights(settings.weights), settings.weights.stem, settings.weights.name)
    if settings.policy == FRESH:
        seed = settings.seed
        return Choice(fresh_weights(seed, FUSED_FEATURES), f"untrained-seed-{seed}", f"untrained, seed {seed}")
    shipped = load_weights(SHIPPED_FILE)
    if settings.policy == SHIPPED:
        return Choice(shipped, SHIPPED, f"shipped, v{shipped.version}")
    return Choice(shipped, SHIPPED, f"baseline {settings.policy}", Baseline(settings.policy))


def learning_of(
    settings: Settings, choice: Choice, store: Callable[[bytes, int], CheckpointRecord], session_id: int
) -> Learning | None:
    """Return how a run learns, None where it does not; `store` keeps what was learnt.

    Raises:
        UsageError: the profile cannot be used.
    """
    if not settings.learns or choice.baseline is not None:
        return None
    hyper = read_profile(Path(settings.learning_profile)).ppo
    return Learning(hyper, store, session_id, compile_ahead=compile_ahead)


def policy_of(weights: object) -> Policy:
    """Return the policy of one asset: a baseline, or `warm_policy` of weights, which takes seconds on a new host."""
    return make_baseline(weights.name) if isinstance(weights, Baseline) else warm_policy(weights)
