"""Baselines do what their names say, at the costs that everybody pays."""

from collections.abc import Sequence

import pytest

from core.market.action import Action
from core.market.fair import fee_per_share
from core.market.features import FUSED_FEATURES
from core.market.state import MarketState
from models.baselines import NAMES, ORACLE, Baseline, UnknownBaselineError, make_baseline
from models.baselines.sure import Sure
from models.baselines.value import worthwhile
from models.policy import greedy
from tests.baselines.builders import state


def actions(policy: Baseline | Sure, states: Sequence[MarketState]) -> list[int]:
    return [greedy(policy.decide(each)[0]) for each in states]


def path(mids: Sequence[float], step_ms: int = 500) -> list[MarketState]:
    return [state(mid, at_ms=number * step_ms) for number, mid in enumerate(mids)]


@pytest.mark.parametrize("name", NAMES)
def test_every_name_is_a_policy_whose_probabilities_add_up_to_one(name: str) -> None:
    policy = make_baseline(name, true_value=lambda *_: 0.5)
    probabilities, value = policy.decide(state(fair=0.5))

    assert sum(probabilities) == 1.0
    assert value == 0.0


def test_an_unknown_name_is_refused_with_those_that_are_known() -> None:
    with pytest.raises(UnknownBaselineError, match="no policy named luck: take one of hold, random"):
        make_baseline("luck")


def test_the_oracle_is_refused_where_nobody_knows_the_true_value() -> None:
    with pytest.raises(UnknownBaselineError, match="only a simulated world"):
        make_baseline(ORACLE)


def test_hold_never_trades() -> None:
    assert set(actions(make_baseline("hold"), path([0.5, 0.9, 0.1] * 50))) == {Action.HOLD}


def test_random_draws_by_seed_and_trades_on_both_sides() -> None:
    states = path([0.5] * 2000)
    one, same, other = (actions(make_baseline("random", seed=seed), states) for seed in (1, 1, 2))

    assert one == same
    assert one != other
    assert set(one) == {Action.HOLD, Action.BUY, Action.SELL}


def test_momentum_goes_with_a_move_and_leaves_when_it_has_turned() -> None:
    policy = make_baseline("momentum")
    rise = [0.50 + 0.0025 * number for number in range(25)]

    assert actions(policy, path(rise))[-1] == Action.BUY
    turned = state(rise[4] - 0.02, at_ms=25 * 500, held="UP")
    assert actions(policy, [turned]) == [Action.SELL]


def test_momentum_waits_until_it_has_seen_its_span_and_again_in_every_market() -> None:
    policy = make_baseline("momentum")
    jump = [0.50] * 19 + [0.60]

    assert set(actions(policy, path(jump))) == {Action.HOLD}
    assert actions(policy, [state(0.9, at_ms=20_000, condition_id="0xd")]) == [Action.HOLD]


def test_mean_reversion_goes_against_the_distance_to_the_mean() -> None:
    assert actions(make_baseline("mean-reversion"), path([0.50] * 121 + [0.58]))[-1] == Action.SELL
    assert actions(make_baseline("mean-reversion"), path([0.50] * 121 + [0.42]))[-1] == Action.BUY


def test_fade_spike_goes_against_a_spike_and_leaves_when_half_of_it_is_undone() -> None:
    policy = make_baseline("fade-spike")
    assert actions(policy, path([0.50] * 5 + [0.57]))[-1] == Action.SELL

    held = [state(0.55, at_ms=3_000, held="DOWN"), state(0.53, at_ms=3_500, held="DOWN")]
    assert actions(policy, held) == [Action.HOLD, Action.BUY]


def test_fair_value_opens_only_where_the_difference_exceeds_spread_and_both_fees() -> None:
    policy = make_baseline("fair-value")
    costs = 2 * fee_per_share(0.5, 0.07, 1) + 0.01

    assert actions(policy, [state(0.50, fair=0.50 + costs - 0.002)]) == [Action.HOLD]
    assert actions(policy, [state(0.50, fair=0.50 + costs + 0.01)]) == [Action.BUY]
    assert actions(policy, [state(0.50, fair=0.50 - costs - 0.01)]) == [Action.SELL]


def test_who_holds_to_settlement_pays_one_fee_less_and_opens_sooner() -> None:
    between = state(0.50, fair=0.53)

    assert actions(make_baseline("fair-value"), [between]) == [Action.HOLD]
    assert actions(make_baseline("fair-value", settles=True), [between]) == [Action.BUY]


def test_fair_value_knows_nothing_without_a_strike() -> None:
    assert actions(make_baseline("fair-value"), [state(0.50, fair=None)]) == [Action.HOLD]


def test_nothing_is_opened_where_an_opening_would_be_refused() -> None:
    assert worthwhile(state(0.5, can_open=False), 0.9, 0.0, settles=False) is Action.HOLD


def test_what_is_held_is_sold_only_where_the_bid_less_the_fee_exceeds_its_value() -> None:
    fee = fee_per_share(0.495, 0.07, 1)

    assert worthwhile(state(0.50, held="UP"), 0.495 - fee + 0.001, 0.0, settles=False) is Action.HOLD
    assert worthwhile(state(0.50, held="UP"), 0.495 - fee - 0.001, 0.0, settles=False) is Action.SELL
    assert worthwhile(state(0.50, held="DOWN"), 1 - (0.495 - fee - 0.001), 0.0, settles=False) is Action.BUY


class Torn:
    """Opens UP with a probability of 0.6."""

    schema = FUSED_FEATURES

    def decide(self, _state: MarketState) -> tuple[tuple[float, ...], float]:
        return (0.4, 0.6, 0.0), 1.5


def test_who_has_to_be_sure_opens_less_and_leaves_as_before() -> None:
    assert actions(Sure(Torn(), 0.5), [state()]) == [Action.BUY]
    assert Sure(Torn(), 0.7).decide(state()) == ((1.0, 0.0, 0.0), 1.5)
    assert actions(Sure(Torn(), 0.7), [state(held="DOWN")]) == [Action.BUY]


def test_the_oracle_asks_for_the_value_of_the_market_at_the_moment() -> None:
    asked = []

    def true_value(asset: str, opens_at_s: int, at_ms: int) -> float:
        asked.append((asset, opens_at_s, at_ms))
        return 0.7

    assert actions(make_baseline(ORACLE, true_value=true_value), [state(0.50, at_ms=1500)]) == [Action.BUY]
    assert asked == [("BTC", 0, 1500)]
