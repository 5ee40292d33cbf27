"""Batches leave in order, and no older version of a row is ever written over a newer one that may be committed."""

from hypothesis import given, settings
from hypothesis import strategies as st

from actors.write_queue import BATCH_ROWS, Queued, WriteQueue
from core.messages import Persist
from core.records import MetricRecord


class Table:
    """One row in a database that refuses some messages; `versions` is what a reader sees over time."""

    def __init__(self, refused: set[int]) -> None:
        self._refused = refused
        self.versions: list[int] = []

    def accepts(self, batch: list[Queued]) -> bool:
        return not any(queued.receipt in self._refused for queued in batch)

    def commit(self, batch: list[Queued]) -> None:
        self.versions.append(batch[-1].receipt)


def queued(number: int, rows: int = 1) -> Queued:
    return Queued(Persist(tuple(MetricRecord(1, f"{number}.{row}", 1.0, number) for row in range(rows))), number, 0.0)


Outcome = str
OUTCOMES = st.sampled_from(["heard", "heard", "answer lost", "not reached", "crash", "crash unheard"])


@settings(max_examples=400, deadline=None)
@given(
    refused=st.sets(st.integers(1, 12), max_size=4),
    arrivals=st.lists(st.integers(0, 4), min_size=1, max_size=12),
    outcomes=st.lists(OUTCOMES, max_size=30),
)
def test_whatever_is_lost_on_the_way_a_reader_never_sees_an_older_version(
    refused: set[int], arrivals: list[int], outcomes: list[Outcome]
) -> None:
    table, queue, told, settled = Table(refused), WriteQueue(), 0, list[int]()
    for step in range(400):
        for _ in range(arrivals[step] if step < len(arrivals) else 0):
            told += 1
            queue.add(queued(told))
        if not queue.waiting:
            continue
        batch = queue.take()
        outcome = outcomes[step] if step < len(outcomes) else "heard"
        accepted = table.accepts(batch)
        if accepted and outcome in {"heard", "answer lost", "crash unheard"}:
            table.commit(batch)
        if outcome in {"crash", "crash unheard"}:
            again, queue = [queued(unsettled.receipt) for unsettled in queue], WriteQueue()
            for message in again:
                queue.add(message)
            queue.adopt()
        elif outcome != "heard":
            queue.unknown()
        elif accepted or len(batch) == 1:
            settled += [message.receipt for message in queue.done()]
        else:
            queue.refused()

    assert table.versions == sorted(table.versions)
    assert settled == list(range(1, told + 1))
    assert set(table.versions).isdisjoint(refused)


@given(st.sets(st.integers(1, 300), max_size=3))
def test_a_refused_message_among_many_is_found_in_few_attempts(refused: set[int]) -> None:
    table, queue, attempts = Table(refused), WriteQueue(), 0
    for number in range(1, 301):
        queue.add(queued(number))
    given_up = []
    while queue.waiting:
        batch, attempts = queue.take(), attempts + 1
        if table.accepts(batch):
            queue.done()
        elif len(batch) > 1:
            queue.refused()
        else:
            given_up += [message.receipt for message in queue.done()]

    assert given_up == sorted(refused)
    assert attempts <= 1 + 20 * len(refused)


def test_a_message_larger_than_a_batch_goes_alone_and_whole() -> None:
    queue = WriteQueue()
    for number, rows in enumerate((1, BATCH_ROWS + 1, 1)):
        queue.add(queued(number, rows))
    sizes = []
    while queue.waiting:
        sizes.append([message.receipt for message in queue.take()])
        queue.done()

    assert sizes == [[0], [1], [2]]
