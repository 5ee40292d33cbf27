"""What a MarketActor remembers, how it draws its actions, and what the learner hears of each step."""

import math
import threading
from collections.abc import Iterator

import numpy as np
import pytest

from actors import addresses
from actors.market import MarketActor, MarketRules
from core.errors import RejectedError
from core.market.window import window_at
from core.messages import BookPublished, MarketListed, TransitionRecorded, WeightsPublished
from core.runtime.actor import Actor
from core.runtime.cell import Spec
from core.runtime.clock import SystemClock
from core.runtime.context import Context
from core.runtime.message import WorkFailed
from core.runtime.supervision import RestartPolicy
from core.runtime.threaded import ThreadedRuntime
from tests.actors_data.builders import (
    KILL,
    MARKET,
    OPENS_MS,
    OPENS_S,
    WINDOW_S,
    Asset,
    Chooser,
    Stage,
    book_view,
    market_of,
)

NOW, NEXT = market_of(), market_of(opens_s=OPENS_S + WINDOW_S)
NEIGHBOURS = (addresses.LEARNER, addresses.DISCOVERY, addresses.PORTFOLIO)
EVEN = (1 / 3, 1 / 3, 1 / 3)
SLOW = RestartPolicy(backoff_s=1.2, jitter=0.0)


def a_stage(*, seed: int = 0, work_ms: int = 0) -> Stage:
    stage = Stage(OPENS_MS, seed=seed, work_ms=work_ms)
    stage.listen(*NEIGHBOURS)
    return stage


@pytest.fixture
def stage() -> Stage:
    return a_stage()


def filled(step: TransitionRecorded) -> int:
    """States in the history of a step."""
    return int(np.any(step.history != 0, axis=1).sum())


# -- the deque ----------------------------------------------------------------------------------------------------


def test_the_deque_fills_to_five_and_is_cleared_when_the_market_changes(stage: Stage) -> None:
    asset = Asset(stage)
    asset.ready(Chooser(), NOW, NEXT)
    asset.run(WINDOW_S, NOW)
    asset.run(4, NEXT)

    first, second = ([s for s in asset.steps if s.condition_id == m.condition_id] for m in (NOW, NEXT))
    assert [filled(step) for step in first[:7]] == [1, 2, 3, 4, 5, 5, 5]
    assert [filled(step) for step in second[:7]] == [1, 2, 3, 4, 5, 5, 5]


@pytest.mark.parametrize(("policy", "restored"), [(None, True), (SLOW, False)], ids=["at once", "after 1.2 s"])
def test_a_restart_takes_the_deque_back_only_within_a_grid_step(
    stage: Stage,
    policy: RestartPolicy | None,
    restored: bool,  # noqa: FBT001 -- a parameter of the test
) -> None:
    asset = Asset(stage) if policy is None else Asset(stage, policy=policy)
    asset.ready(Chooser(), NOW)
    asset.run(5.1, NOW)
    before = asset.steps[-1]
    stage.tell(MARKET, KILL)
    stage.run(0.1 if policy is None else 1.25)
    asset.ready(Chooser(), NOW)
    asset.run(1, NOW)
    after = asset.steps[[step.at_ms for step in asset.steps].index(before.at_ms) + 1]

    assert asset.cell.incarnation == 2
    if restored:
        assert after.at_ms == before.at_ms + 500
        np.testing.assert_array_equal(after.history[:-1], before.history[1:])
    else:
        assert filled(after) == 1


def test_a_deque_of_another_window_is_not_taken_back(stage: Stage) -> None:
    asset = Asset(stage)
    asset.ready(Chooser(), NOW)
    asset.run(WINDOW_S - 0.2, NOW)
    stage.tell(MARKET, KILL)
    stage.run(0.1)
    asset.ready(Chooser(), NEXT)
    asset.run(1, NEXT)

    assert asset.cell.incarnation == 2
    assert [filled(step) for step in asset.steps if step.condition_id == NEXT.condition_id][:2] == [1, 2]


# -- the learner --------------------------------------------------------------------------------------------------


def test_the_learner_hears_state_history_action_log_probability_and_value_of_one_step(stage: Stage) -> None:
    policy = Chooser((0.2, 0.5, 0.3), value=-0.75)
    asset = Asset(stage, sample_actions=True)
    asset.ready(policy, NOW)
    prices = iter(range(30, 70))
    asset.view = lambda market, now_ms: book_view(market, now_ms, f"0.{next(prices)}", "0.75")
    asset.run(3, NOW)

    assert len(asset.steps) == len(policy.seen) == 6
    for step, (features, history) in zip(asset.steps, policy.seen, strict=True):
        np.testing.assert_array_equal(step.features, features)
        np.testing.assert_array_equal(step.history, history)
        np.testing.assert_array_equal(step.history[-1], step.features)
        assert step.log_prob == pytest.approx(math.log(policy.probabilities[step.action]))
        assert step.value == -0.75
    assert len({step.features.tobytes() for step in asset.steps}) == 6


def test_done_marks_the_windows_last_step_alone(stage: Stage) -> None:
    asset = Asset(stage)
    asset.ready(Chooser(), NOW, NEXT)
    asset.run(WINDOW_S, NOW)
    asset.run(5, NEXT)

    assert [step.at_ms for step in asset.steps if step.done] == [NEXT.window.opens_at_s * 1000 - 500]


# -- the draw -----------------------------------------------------------------------------------------------------


def actions(asset: str, *, seed: int = 0, sample_actions: bool = True, killed: bool = False) -> list[int]:
    stage = a_stage(seed=seed)
    actor = Asset(stage, asset, sample_actions=sample_actions)
    if killed:
        stage.run(0.05)
        stage.tell(actor.address, KILL)
        stage.run(0.05)
    actor.ready(Chooser(EVEN), market_of(asset))
    actor.run(30, market_of(asset))
    return [step.action for step in actor.steps][:50]


def test_sampled_actions_are_drawn_per_asset_and_incarnation_and_come_again_with_the_seed() -> None:
    drawn = actions("BTC")
    assert set(drawn) == {0, 1, 2}
    assert actions("BTC") == drawn
    others = [actions("BTC", seed=1), actions("ETH"), actions("BTC", killed=True)]
    assert all(other != drawn and len(other) == len(drawn) for other in others)


def test_without_sampling_the_most_probable_action_is_taken() -> None:
    assert set(actions("BTC", sample_actions=False)) == {0}


# -- new weights --------------------------------------------------------------------------------------------------


def test_new_weights_take_over_without_a_missed_decision() -> None:
    stage = a_stage(work_ms=1_700)  # what warming up takes
    old, new = Chooser(value=1.0), Chooser(value=2.0)
    asset = Asset(stage)
    asset.ready(old, NOW)
    asset.run(5, NOW)
    stage.tell(MARKET, WeightsPublished(2, new))
    asset.run(5, NOW)

    at_ms = [step.at_ms for step in asset.steps]
    values = [step.value for step in asset.steps]
    assert at_ms == list(range(at_ms[0], OPENS_MS + 10_001, 500))
    assert values == sorted(values)
    assert next(at for at, value in zip(at_ms, values, strict=True) if value == 2.0) == OPENS_MS + 7_000


def test_weights_that_cannot_be_used_leave_the_old_ones_at_work(stage: Stage) -> None:
    good, bad = Chooser(value=1.0), Chooser(value=2.0)

    def make(weights: object) -> Chooser:
        if weights is bad:
            raise RejectedError("another feature schema")
        assert isinstance(weights, Chooser)
        return weights

    asset = Asset(stage, make_policy=make)
    asset.ready(good, NOW)
    asset.run(2, NOW)
    stage.tell(MARKET, WeightsPublished(2, bad))
    asset.run(2, NOW)

    assert asset.cell.restarts == 0
    assert [step.value for step in asset.steps] == [1.0] * 8
    assert stage.said == [f"{MARKET} keeps its weights, the new ones are of no use: another feature schema"]


def test_without_any_usable_weights_the_actor_crashes_for_its_supervisor_to_judge(stage: Stage) -> None:
    asset = Asset(stage)
    stage.run(0.1)
    stage.tell(MARKET, WorkFailed("policy", RejectedError("another feature schema")))
    stage.run(1)

    assert "another feature schema" in (asset.cell.last_failure or "")
    assert asset.cell.restarts == 1


# -- threads ------------------------------------------------------------------------------------------------------


class Steps(Actor):
    """The learner's place: counts the steps of each asset and lets a test wait for them."""

    def __init__(self, context: Context, counts: dict[str, int], changed: threading.Condition) -> None:
        super().__init__(context)
        self._counts, self._changed = counts, changed

    def receive(self, message: object) -> None:
        if isinstance(message, TransitionRecorded):
            with self._changed:
                self._counts[message.asset] = self._counts.get(message.asset, 0) + 1
                self._changed.notify_all()


@pytest.fixture
def runtime() -> Iterator[ThreadedRuntime]:
    runtime = ThreadedRuntime(SystemClock(), seed=1)
    yield runtime
    assert runtime.stop(5.0) == []


def test_one_asset_decides_on_while_anothers_policy_warms_up(runtime: ThreadedRuntime) -> None:
    counts: dict[str, int] = {}
    changed, warm, warming = threading.Condition(), threading.Event(), threading.Event()

    def wait_for(asset: str, steps: int) -> None:
        with changed:
            goal = counts.get(asset, 0) + steps
            assert changed.wait_for(lambda: counts.get(asset, 0) >= goal, 10), counts

    def make(weights: object) -> Chooser:
        if weights == "slow":
            warming.set()
            assert warm.wait(10)
        return Chooser()

    rules = MarketRules(grid_ms=20, book_stale_s=3600.0, flow_stale_s=None, sample_actions=False)
    runtime.add(Spec(addresses.LEARNER, lambda context: Steps(context, counts, changed)))
    for asset in ("BTC", "ETH"):
        runtime.add(
            Spec(
                addresses.market(asset),
                lambda context, asset=asset: MarketActor(context, asset, 1, rules, make, lambda _: None),  # type: ignore[misc]
                asset,
            )
        )
    now_ms = runtime.clock.now_ms()
    for address in list(runtime.cells):
        runtime.start(address)
    for asset in ("BTC", "ETH"):
        market = market_of(asset, window_at(asset, now_ms, 86_400 * 365).opens_at_s, 86_400 * 365)
        for message in (MarketListed(market), BookPublished(book_view(market, now_ms))):
            runtime.tell(addresses.market(asset), message)
    runtime.tell(addresses.market("BTC"), WeightsPublished(1, "quick"))
    wait_for("BTC", 1)
    runtime.tell(addresses.market("ETH"), WeightsPublished(1, "slow"))
    assert warming.wait(10)
    wait_for("BTC", 10)
    assert "ETH" not in counts
    warm.set()
    wait_for("ETH", 2)
