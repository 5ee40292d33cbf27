"""The gate's lasting holds in a local file, for a halt that needs no database; what is damaged counts as closed."""

import contextlib
import fcntl
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from core.errors import FatalError
from core.trading.gate import GateLevel, GateState, Hold, with_holds
from core.trading.lasting_holds import UNREADABLE
from storage.state_file import (
    DISK,
    Disk,
    Schema,
    disk_errors,
    make_folder,
    newest_number,
    read_newest,
    write_atomically,
)

NAME = "gate"
GATE = Schema("gate", 1)
KEPT = 3


class GateFile:
    """Generations `gate.<number>` in a state folder; processes that change it take turns.

    Args:
        state_dir: the folder; created by the first change.
        report: is told in one line of a damaged generation.
        now_ms: unix time.
        disk: the calls that durability hangs on.
    """

    def __init__(
        self, state_dir: Path, *, report: Callable[[str], None], now_ms: Callable[[], int], disk: Disk = DISK
    ) -> None:
        self.path = state_dir / NAME
        self._seen = state_dir / f"{NAME}.seen"
        self._report = report
        self._now_ms = now_ms
        self._disk = disk

    def number(self) -> int:
        """Return the number of the newest generation, 0 when there is none; takes no lock.

        Raises:
            TransientError: the disk does not let us look.
        """
        return newest_number(self.path)

    def read(self) -> GateState:
        """Return the holds that are stored, none where there is no file; what is damaged counts as closed.

        Raises:
            TransientError: the disk refuses.
            FatalError: a newer version has written it.
        """
        return self._read()[0]

    def update(self, change: Callable[[GateState], GateState]) -> tuple[GateState, int]:
        """Store what `change` makes of the stored holds, durable on return; returns it and its generation's number.

        Raises:
            TransientError: the disk refuses; what was stored stays.
            FatalError: a newer version has written it.
        """
        with self._alone():
            before, damaged = self._read()
            after = change(before)
            number = self.number()
            if damaged or after.holds != before.holds:
                payload = msgspec.json.encode(after)
                number = write_atomically(
                    self.path, payload, keep=KEPT, schema=GATE, created_at_ms=self._now_ms(), disk=self._disk
                )
        return after, number

    def note_seen(self, number: int) -> None:
        """Tell whoever wrote generation `number` that the running process goes by it.

        Raises:
            TransientError: the disk refuses.
        """
        with disk_errors(self._seen, "write"):
            self._seen.write_text(f"{number}\n")

    def is_seen(self, number: int) -> bool:
        """Return whether a running process goes by generation `number`."""
        with disk_errors(self._seen, "read"):
            try:
                return int(self._seen.read_text()) >= number
            except (FileNotFoundError, ValueError):  # nobody has written it, or somebody is writing it
                return False

    def _read(self) -> tuple[GateState, bool]:
        """Return what is stored, and whether something newer than the last sound generation is damaged."""
        number = self.number()
        sound = read_newest(self.path, report=self._report, disk=self._disk)
        if sound is not None and sound.schema != GATE:
            raise FatalError(
                f"{self.path}: written as {sound.schema.name} {sound.schema.version}, this program knows gate "
                f"{GATE.version}: run the version that wrote it, or move the file away"
            )
        state, number_read = GateState(), 0
        if sound is not None:
            try:
                state, number_read = msgspec.json.decode(sound.payload, type=GateState), sound.generation
            except msgspec.DecodeError as error:
                self._report(f"{self.path}: {error}")
        damaged = number_read < number
        return (with_holds(state, (self._unreadable(),)), True) if damaged else (state, False)

    def _unreadable(self) -> Hold:
        detail = (
            f"{self.path}.damaged-* cannot be read, it may have said closed: find out, then `resume --reason TEXT`; "
            "the next change writes a sound file"
        )
        return Hold("", UNREADABLE, GateLevel.CLOSED, detail, "", self._now_ms())

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Let nobody else change what is read until it is written; the kernel frees the lock with its process."""
        with disk_errors(self.path, "lock"):
            make_folder(self.path.parent, self._disk)
            lock = (self.path.parent / f"{NAME}.lock").open("ab")
        with lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
