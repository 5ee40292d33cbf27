"""Restart rules: how often within how long, and how long is waited in between."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.runtime.supervision import Escalate, RestartAfter, RestartPolicy, after_crash
from tests.runtime.actors_for_tests import PROBE, Crash, Probe, Say
from tests.runtime.stage import Stage

policies = st.builds(
    RestartPolicy,
    max_restarts=st.integers(0, 8),
    window_s=st.floats(1, 100),
    backoff_s=st.floats(0.001, 1),
    factor=st.floats(1, 5),
    backoff_max_s=st.floats(1, 10),
    jitter=st.floats(0, 0.5),
)


def rng() -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(7))


@given(policies, st.lists(st.floats(0, 300), min_size=1, max_size=12))
def test_more_crashes_than_allowed_within_the_window_escalate_and_older_ones_are_forgiven(
    policy: RestartPolicy, crashes_s: list[float]
) -> None:
    now_s = max(crashes_s)
    recent = sum(1 for at_s in crashes_s if now_s - at_s <= policy.window_s)
    decision = after_crash(policy, crashes_s, now_s, rng())

    assert isinstance(decision, Escalate) == (recent > policy.max_restarts)


@given(policies, st.integers(1, 8))
def test_each_backoff_is_longer_by_the_factor_up_to_its_limit_and_jittered_both_ways(
    policy: RestartPolicy, crashes: int
) -> None:
    decision = after_crash(policy, [0.0] * crashes, 0.0, rng())
    if isinstance(decision, RestartAfter):
        plain_s = min(policy.backoff_max_s, policy.backoff_s * policy.factor ** (crashes - 1))
        assert decision.delay_s == pytest.approx(plain_s, rel=policy.jitter + 1e-9)


def test_the_jitter_spreads_and_keeps_its_mean() -> None:
    generator, policy = rng(), RestartPolicy(backoff_s=1.0)
    drawn = [after_crash(policy, [0.0], 0.0, generator) for _ in range(2_000)]
    delays_s = [each.delay_s for each in drawn if isinstance(each, RestartAfter)]

    assert len(set(delays_s)) == 2_000
    assert min(delays_s) < 0.82
    assert max(delays_s) > 1.18
    assert sum(delays_s) / 2_000 == pytest.approx(1.0, abs=0.01)


def test_restarts_wait_longer_each_time_and_a_quiet_minute_is_forgotten() -> None:
    stage = Stage(stepped=True)
    assert stage.stepped is not None
    stage.start(Probe, policy=RestartPolicy(jitter=0.0))
    waited_ms = []
    for pause_s in (0, 0, 0, 0, 0, 61):
        stage.stepped.run_until(stage.stepped.clock.now_ms() + pause_s * 1000)
        began_ms = stage.stepped.clock.now_ms()
        stage.tell(Crash(ValueError("boom")), Say("back"))
        stage.stepped.run()
        waited_ms.append(stage.stepped.clock.now_ms() - began_ms)

    assert waited_ms == [10, 40, 160, 640, 2560, 10]
    assert stage.runtime.cells[PROBE].incarnation == 7
