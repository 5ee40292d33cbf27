"""The checker finds what it is for: whatever keeps a limit, an exit or the gate is taken away, and it says which."""

from collections.abc import Mapping

import pytest
from msgspec.structs import replace

from actors import addresses
from actors.kill_switch import KillSwitch
from bench.safety.windows import SafetySimulation, bounds_for, rules_for, scenario_for
from bench.simulation.scenario import Scenario
from cli.wiring import Rules
from core.runtime.context import Context
from core.trading.forced_exits import T_2, exit_reason
from core.trading.money import MICRO
from tests.simulation.test_planted_defects import IgnoresGate

SCENARIO = replace(scenario_for(1, 6), order_type="FAK", held=(), work_ms=3)
KEPT = replace(SCENARIO, policy="table", windows=1)
"""What this policy opens last it never sells: only the clock does."""


def broken(rules: Rules | None = None, scenario: Scenario = SCENARIO, bounds: Mapping[str, float] | None = None) -> str:
    """Return what is found broken without any fault, where less is allowed than the actors know of."""
    allowed = replace(bounds_for(scenario, "default"), **(bounds or {}))
    found = SafetySimulation(scenario, rules=rules, bounds=allowed).run().broken
    return "" if found is None else found


def test_without_a_defect_nothing_is_found() -> None:
    assert broken() == broken(scenario=KEPT) == ""


@pytest.mark.parametrize(
    ("limit", "allowed", "promise"),
    [
        ("trade_usd", 20 * MICRO, "trade size: "),
        ("position_usd", 20 * MICRO, "limits: "),
        ("asset_usd", 20 * MICRO, "limits: "),
        ("total_usd", 40 * MICRO, "limits: "),
        ("positions", 1, "limits: "),
        ("per_minute", 4, "orders a minute: "),
        ("slippage", 5_000, "slippage: "),
        ("min_price", 300_000, "price: "),
        ("max_price", 500_000, "price: "),
        ("min_left_s", 15.0, "time left: "),
        ("daily_loss_usd", 20 * MICRO, "daily loss: "),
        ("losses_in_a_row", 2, "consecutive losses: "),
    ],
)
def test_a_limit_that_nobody_keeps_is_missed_by_its_name(limit: str, allowed: float, promise: str) -> None:
    assert broken(bounds={limit: allowed}).startswith(promise)


@pytest.mark.parametrize("asleep", [("portfolio",), ("send_limits",), ("portfolio", "send_limits")])
def test_either_of_the_two_that_judge_an_order_is_enough_and_both_are_missed(
    asleep: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    rules = rules_for(SCENARIO, "default")
    limits = replace(rules.sizing.order_limits, per_minute=4)
    for module in asleep:
        monkeypatch.setattr(f"actors.{module}.order_refusal", lambda *_: None)

    found = broken(replace(rules, sizing=replace(rules.sizing, order_limits=limits)), bounds={"per_minute": 4})
    assert found.startswith("orders a minute: ") == (len(asleep) == 2)


def test_an_executor_that_does_not_ask_the_gate_is_found() -> None:
    simulation = SafetySimulation(SCENARIO, plants={addresses.EXECUTOR: IgnoresGate})
    found = simulation.run().broken

    assert found is not None
    assert found.startswith("gate: ")


def test_a_kill_switch_that_lifts_its_own_hold_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    judged = KillSwitch.judged

    def lifts(self: KillSwitch, *state: object) -> object:
        context: Context = self._context
        for hold in context.gate.state.holds:
            if hold.reason == "consecutive losses":
                context.gate.release(None, hold.reason)
        return judged(self, *state)  # type: ignore[arg-type]

    monkeypatch.setattr(KillSwitch, "judged", lifts)

    assert broken().startswith("kill switch: ")


def no_t_2(*held: object, **why: bool) -> str | None:
    """Judge as the watchdog does, and forget the clock."""
    reason = exit_reason(*held, **why)  # type: ignore[arg-type]
    return None if reason == T_2 else reason


def test_a_watchdog_that_forgets_t_2_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("actors.exit_watch.exit_reason", no_t_2)

    found = broken(scenario=KEPT)
    assert found.startswith("unmanaged: ")
    assert "nobody sold and nobody was dead" in found


def test_a_position_that_nobody_writes_down_at_the_close_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("actors.exit_watch.exit_reason", no_t_2)
    monkeypatch.setattr("actors.portfolio.PortfolioActor._note_unsold", lambda _self, _market: None)

    assert "nobody wrote it down" in broken(scenario=KEPT)


def test_who_was_dead_shortly_before_the_close_is_named() -> None:
    simulation = SafetySimulation(SCENARIO)

    assert simulation._excuse(SCENARIO.ends_ms) is None
    simulation._dead_ms["watchdog"] = [SCENARIO.ends_ms - 3_000]
    assert simulation._excuse(SCENARIO.ends_ms) == "watchdog"
    assert simulation._excuse(SCENARIO.ends_ms - 30_000) is None
