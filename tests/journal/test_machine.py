"""Appends, confirms, full and failing disks, and power cuts at any byte, in any order: nothing acknowledged is lost."""

import contextlib
import errno
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from core.errors import TransientError
from storage.journal import Journal
from tests.journal.disks import FragileDisk, PowerCutError
from tests.journal.rows import Rows, held, metric

UNITS = st.one_of(st.none(), st.integers(0, 700))
"""Bytes and calls until the power goes; an append of one entry is about 100, a file's beginning 60, a confirm 220."""
GROUPS = st.lists(st.integers(1, 3), min_size=1, max_size=4)


class JournalMachine(RuleBasedStateMachine):
    """`acked` is what the journal has to hold, `attempts` what unfinished appends may have left a beginning of."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="fusebox-journal-"))
        self.reports: list[str] = []
        self.acked: dict[int, Rows] = {}
        self.attempts: list[list[Rows]] = []
        self.confirmed = 0
        self.confirming: set[int] = set()
        self.highest = 0
        self.count = 0

    @initialize(data=st.data())
    def first_start(self, data: st.DataObject) -> None:
        self.disk = FragileDisk(lambda choices: data.draw(st.integers(0, choices - 1)))
        self.journal = self.opened()

    def opened(self) -> Journal:
        return Journal(
            self.folder / "journal",
            "db-1",
            report=self.reports.append,
            segment_bytes=400,
            now_ms=lambda: self.count,
            disk=self.disk,
        )

    def batches(self, sizes: list[int]) -> list[Rows]:
        made: list[Rows] = []
        for size in sizes:
            made.append(tuple(metric(self.count + index) for index in range(size)))
            self.count += size
        return made

    @contextlib.contextmanager
    def powered(self, units: int | None) -> Iterator[None]:
        """Let the power go after `units`, and start again when it did."""
        self.disk.units_left = units
        try:
            yield
        except PowerCutError:
            self.start_after_power_cut(None)
        else:
            self.disk.units_left = None

    @rule(sizes=GROUPS, units=UNITS)
    def append(self, sizes: list[int], units: int | None) -> None:
        batches = self.batches(sizes)
        self.attempts.append(batches)
        with self.powered(units):
            self.acknowledged(self.journal.append_group(batches), batches)

    @rule(sizes=GROUPS, room=st.integers(0, 300), longest=st.integers(1, 100))
    def append_to_a_disk_that_fills_up(self, sizes: list[int], room: int, longest: int) -> None:
        self.disk.room_bytes, self.disk.longest_write_bytes = room, longest
        self.append_or_be_refused(sizes)

    @rule(sizes=GROUPS, call=st.sampled_from(["open", "write", "fsync", "truncate", "sync_folder"]))
    def append_to_a_disk_that_fails(self, sizes: list[int], call: str) -> None:
        self.disk.refused = {call: errno.EIO}
        self.append_or_be_refused(sizes)

    @rule(sizes=GROUPS)
    def append_to_a_disk_where_nothing_works(self, sizes: list[int]) -> None:
        self.disk.refused = dict.fromkeys(("fsync", "truncate", "remove"), errno.EIO)
        self.append_or_be_refused(sizes)

    def append_or_be_refused(self, sizes: list[int]) -> None:
        """What was refused may still come to light after a crash, as long as no later append has succeeded."""
        batches = self.batches(sizes)
        self.attempts.append(batches)
        try:
            sequences = self.journal.append_group(batches)
        except TransientError:
            assert self.journal.last == self.highest
        else:
            self.acknowledged(sequences, batches)
        self.disk.refused, self.disk.room_bytes, self.disk.longest_write_bytes = {}, None, None

    @rule(part=st.floats(0, 1), units=UNITS)
    def confirm(self, part: float, units: int | None) -> None:
        sequence = self.between(part)
        with self.powered(units):
            self.journal.confirm(sequence)
            if sequence > self.confirmed:
                self.confirmed, self.confirming = sequence, set()

    @rule(part=st.floats(0, 1), call=st.sampled_from(["open", "write", "fsync", "replace", "sync_folder", "remove"]))
    def confirm_on_a_disk_that_fails(self, part: float, call: str) -> None:
        sequence = self.between(part)
        self.disk.refused = {call: errno.EIO}
        with contextlib.suppress(TransientError):
            self.journal.confirm(sequence)
        self.disk.refused = {}
        self.confirmed_or_not()

    @rule(units=UNITS)
    def start_after_power_cut(self, units: int | None) -> None:
        """Lose power, perhaps once more while recovering, and hold what comes back against what must."""
        self.journal.close()
        self.disk.lose_power()
        self.disk.units_left = units
        try:
            self.journal = self.opened()
        except PowerCutError:
            self.disk.lose_power()
            self.journal = self.opened()
        self.disk.units_left = None
        self.confirmed_or_not()
        self.left_behind()

    @rule()
    def start_after_stop(self) -> None:
        self.journal.close()
        self.journal = self.opened()
        self.confirmed_or_not()
        self.left_behind()

    def acknowledged(self, sequences: range, batches: list[Rows]) -> None:
        assert sequences[0] > self.highest
        assert len(sequences) == len(batches)
        self.acked |= dict(zip(sequences, batches, strict=True))
        self.highest = sequences[-1]
        self.attempts = []

    def confirmed_or_not(self) -> None:
        """Accept, for confirms that were not finished, that they count or that they do not."""
        assert self.journal.confirmed in {self.confirmed, *self.confirming}
        assert self.journal.confirmed >= self.confirmed
        self.confirmed = self.journal.confirmed

    def between(self, part: float) -> int:
        """Return a sequence to confirm between the last confirmed one and the newest."""
        sequence = self.confirmed + round(part * (self.journal.last - self.confirmed))
        self.confirming.add(sequence)
        return sequence

    def left_behind(self) -> None:
        """Accept the beginning of one unfinished append, and nothing else, as part of the journal."""
        more = {sequence: rows for sequence, rows in held(self.journal).items() if sequence > self.highest}
        assert any(list(more.values()) == attempt[: len(more)] for attempt in [[], *self.attempts])
        self.acked |= more
        self.highest = max([self.highest, *more])
        self.attempts = []

    @invariant()
    def holds_exactly_what_is_not_confirmed(self) -> None:
        if not hasattr(self, "journal"):
            return
        assert self.journal.confirmed == self.confirmed
        assert self.journal.last == self.highest
        expected = {sequence: rows for sequence, rows in self.acked.items() if sequence > self.confirmed}
        assert held(self.journal) == expected

    @invariant()
    def takes_no_crash_for_damage(self) -> None:
        assert [text for text in self.reports if "not finished" not in text and "header" not in text] == []

    def teardown(self) -> None:
        if hasattr(self, "journal"):
            self.journal.close()
        shutil.rmtree(self.folder)


JournalMachine.TestCase.settings = settings(max_examples=150, stateful_step_count=25, deadline=None)
test_nothing_acknowledged_is_lost = JournalMachine.TestCase
