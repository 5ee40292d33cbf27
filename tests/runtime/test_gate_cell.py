"""The gate's cell refuses what comes after a closing and numbers what came before."""

import threading

from core.runtime.gate import GateCell
from core.trading.gate import GateLevel, OrderKind


def test_a_hold_refuses_openings_and_a_release_lets_them_pass_again() -> None:
    gate = GateCell()
    handed: list[int] = []

    assert gate.submit("BTC", OrderKind.OPEN_ORDER, handed.append) == 0
    assert gate.hold("BTC", "stale", GateLevel.REDUCE_ONLY)
    assert not gate.hold("BTC", "stale", GateLevel.REDUCE_ONLY)
    assert gate.submit("BTC", OrderKind.OPEN_ORDER, handed.append) is None
    assert gate.submit("BTC", OrderKind.REDUCE, handed.append) == 1
    assert gate.submit("ETH", OrderKind.OPEN_ORDER, handed.append) == 1
    assert gate.release("BTC", "stale")
    assert gate.submit("BTC", OrderKind.OPEN_ORDER, handed.append) == 2
    assert handed == [0, 1, 1, 2]


def test_the_setter_waits_for_a_hand_over_and_everything_after_it_is_refused() -> None:
    gate = GateCell()
    inside, leave, closed = threading.Event(), threading.Event(), threading.Event()

    def hand_over(_sequence: int) -> None:
        inside.set()
        leave.wait(10)
        assert not closed.is_set()

    def close() -> None:
        gate.hold(None, "halt", GateLevel.CLOSED)
        closed.set()

    submitter = threading.Thread(target=lambda: gate.submit("BTC", OrderKind.OPEN_ORDER, hand_over))
    closer = threading.Thread(target=close)
    submitter.start()
    assert inside.wait(10)
    closer.start()
    leave.set()
    submitter.join(10)
    closer.join(10)

    assert closed.is_set()
    assert gate.submit("BTC", OrderKind.OPEN_ORDER, hand_over) is None


def test_the_observer_hears_each_change_once() -> None:
    gate = GateCell()
    heard: list[int] = []
    gate.observer = lambda state: heard.append(state.sequence)
    gate.hold(None, "halt", GateLevel.CLOSED)
    gate.hold(None, "halt", GateLevel.CLOSED)
    gate.release(None, "halt")

    assert heard == [1, 2]
