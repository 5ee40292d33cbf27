"""A toy world whose price follows late: the learner finds out when trading pays, and that otherwise it does not."""

import numpy as np

from core.market.action import Action
from core.market.features import FUSED_FEATURES, HISTORY_STATES
from models.checkpoint import fresh_weights
from models.plain import PlainPolicy
from models.ppo.hyper import Hyperparameters
from models.ppo.state import TrainingState
from models.ppo.step import Segment
from models.ppo.update import update

STEPS, EPISODES, UPDATES = 24, 24, 16
CHANCE, FOLLOWS_AFTER = 0.15, 3
USD = 1_000_000
GAP, HELD, NOISE = 0, 1, 2
HYPER = Hyperparameters(
    lr_actor=5e-3, lr_critic=5e-3, gamma=0.9, entropy=0.003, buffer=512, batch=192, epochs=4, target_kl=0.1
)


class LagWorld:
    """A gap of one dollar opens by chance and closes three steps later, the price following it.

    A position costs `cost` to open and earns the price's moves until it is closed for nothing, by a signal against it.
    """

    def __init__(self, cost: float, seed: int) -> None:
        self._cost = cost
        self._rng = np.random.default_rng(seed)

    def episode(self, choose: "Chooser") -> tuple[Segment, float]:
        gap, since, held = 0, 0, 0
        seen, actions, log_probs, rewards = [], [], [], []
        for _ in range(STEPS):
            if gap == 0 and self._rng.random() < CHANCE:
                gap, since = (1 if self._rng.random() < 0.5 else -1), 0
            features = np.zeros(FUSED_FEATURES.size, np.float32)
            features[[GAP, HELD, NOISE]] = gap, held, self._rng.uniform(-1, 1)
            action, log_prob = choose(features)
            side = {Action.HOLD: 0, Action.BUY: 1, Action.SELL: -1}[Action(action)]
            reward = 0.0
            if side and held == 0:
                held, reward = side, -self._cost
            elif side == -held:
                held = 0
            since += 1
            if gap and since == FOLLOWS_AFTER:
                reward += gap * held
                gap = 0
            seen.append(features)
            actions.append(action)
            log_probs.append(log_prob)
            rewards.append(round(reward * USD))
        rows = np.stack(seen)
        history = np.zeros((STEPS, HISTORY_STATES, FUSED_FEATURES.size), np.float32)
        history[:, -1] = rows
        segment = Segment(
            asset="BTC",
            condition_id="toy",
            features=rows,
            history=history.reshape(STEPS, -1),
            actions=np.array(actions, np.int32),
            log_probs=np.array(log_probs, np.float32),
            versions=np.zeros(STEPS, np.int64),
            learns=np.ones(STEPS, np.bool_),
            rewards_usd=np.array(rewards, np.int64),
            next_features=None,
            next_history=None,
        )
        return segment, sum(rewards) / USD


class Chooser:
    """Draws from a policy, or takes its most probable action."""

    def __init__(self, policy: PlainPolicy, rng: np.random.Generator | None) -> None:
        self._policy = policy
        self._rng = rng

    def __call__(self, features: np.ndarray) -> tuple[int, float]:
        history = np.zeros((HISTORY_STATES, FUSED_FEATURES.size), np.float32)
        history[-1] = features
        probabilities, _ = self._policy.evaluate(features, history)
        chances = np.asarray(probabilities) / sum(probabilities)
        action = int(chances.argmax()) if self._rng is None else int(self._rng.choice(3, p=chances))
        return action, float(np.log(max(chances[action], 1e-12)))


def trained(cost: float) -> TrainingState:
    world, rng = LagWorld(cost, seed=1), np.random.default_rng(2)
    state = TrainingState.fresh(fresh_weights(3, FUSED_FEATURES), seed=4)
    for _ in range(UPDATES):
        choose = Chooser(PlainPolicy(state.weights), rng)
        state, _ = update(state, [world.episode(choose)[0] for _ in range(EPISODES)], HYPER)
    return state


def worth(state: TrainingState, cost: float) -> float:
    """Return the mean earned in an episode by the most probable actions, on episodes that nobody trained on."""
    world, choose = LagWorld(cost, seed=99), Chooser(PlainPolicy(state.weights), None)
    return float(np.mean([world.episode(choose)[1] for _ in range(60)]))


def test_where_the_lag_pays_more_than_a_trade_costs_it_is_traded() -> None:
    best = 0.5 * CHANCE * STEPS  # about every second gap can be taken and has time to close

    assert worth(trained(cost=0.2), cost=0.2) > 0.5 * best


def test_where_a_trade_costs_more_than_the_lag_pays_nothing_is_done() -> None:
    assert abs(worth(trained(cost=1.5), cost=1.5)) < 0.05
