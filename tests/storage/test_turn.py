"""A batch is written by its worker or by the stop that came first, and never by both."""

import threading

import pytest

from storage.turn import Turn


def test_a_turn_taken_over_before_its_job_began_never_runs_it() -> None:
    turn = Turn()
    assert turn.take_over(0.0)
    assert turn.run(lambda: pytest.fail("the job ran")) is None


def test_a_turn_cannot_be_taken_over_while_its_job_runs_and_can_when_it_has_ended() -> None:
    turn, begun, go_on = Turn(), threading.Event(), threading.Event()

    def job() -> None:
        begun.set()
        assert go_on.wait(10)

    worker = threading.Thread(target=turn.run, args=(job,))
    worker.start()
    assert begun.wait(10)
    assert not turn.take_over(0.0)
    go_on.set()
    assert turn.take_over(10.0)
    worker.join()


def test_a_job_that_fails_has_ended_too() -> None:
    turn = Turn()
    with pytest.raises(ZeroDivisionError):
        turn.run(lambda: 1 // 0)

    assert turn.take_over(0.0)
