"""Real processes: one at a time, and `kill -9` in the middle of appending."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from core.errors import FatalError
from storage.journal import Journal
from tests.journal.rows import held, metric

ROOT = Path(__file__).resolve().parents[2]
APPENDING = """
import sys
from pathlib import Path
from storage.journal import Journal
from tests.journal.rows import metric

journal = Journal(Path(sys.argv[1]), "db-1", report=print, segment_bytes=2000)
while True:
    journal.append([metric(journal.last + 1)])
    print(journal.last, flush=True)
    if journal.last % 10 == 0:
        journal.confirm(journal.last - 5)
"""


def started(folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", APPENDING, str(folder)], cwd=ROOT, stdout=subprocess.PIPE, text=True, bufsize=1
    )


def killed(process: subprocess.Popen[str], after: int) -> int:
    """Kill the process once it has acknowledged `after` entries more, and return the last one it acknowledged."""
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in range(after)]
    process.send_signal(signal.SIGKILL)
    lines += process.stdout.read().splitlines()
    process.wait()
    process.stdout.close()
    return int(lines[-1])


def test_nothing_that_a_killed_process_acknowledged_is_lost(tmp_path: Path) -> None:
    for after in (1, 23, 57):
        acknowledged = killed(started(tmp_path), after)
        journal = Journal(tmp_path, "db-1", report=print)

        assert acknowledged >= after
        assert journal.last - acknowledged in {0, 1}
        assert journal.confirmed <= acknowledged
        entries = held(journal)
        assert entries == {number: (metric(number),) for number in range(journal.confirmed + 1, journal.last + 1)}
        journal.close()


def test_a_second_process_is_told_who_has_the_journal(tmp_path: Path) -> None:
    process = started(tmp_path)
    assert process.stdout is not None
    process.stdout.readline()

    with pytest.raises(FatalError, match=rf"{tmp_path}: process {process.pid} has this journal open: stop it first"):
        Journal(tmp_path, "db-1", report=print)

    killed(process, 1)
    Journal(tmp_path, "db-1", report=print).close()


def test_the_same_process_cannot_open_it_twice_either(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "db-1", report=print)

    with pytest.raises(FatalError, match=f"process {os.getpid()} has this journal open"):
        Journal(tmp_path, "db-1", report=print)

    journal.close()
    Journal(tmp_path, "db-1", report=print).close()


def test_threads_may_append_and_confirm_at_the_same_time(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "db-1", report=print, segment_bytes=1000)
    given: list[int] = []

    def appending() -> None:
        for _ in range(40):
            sequence = journal.append([metric(1)])
            given.append(sequence)
            if sequence % 7 == 0:
                journal.confirm(sequence - 6)

    threads = [threading.Thread(target=appending) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(given) == list(range(1, 161))
    assert list(held(journal)) == list(range(journal.confirmed + 1, 161))
    journal.close()
