"""Standard output that is closed, full, or that nobody reads any more, as after `| head -1`."""

import os
import select
import sys


def reader_gone() -> bool:
    """Return whether standard output is a pipe that nobody reads any more."""
    try:
        descriptor = sys.stdout.fileno()
    except (OSError, ValueError, AttributeError):  # none, closed, or replaced by something without one
        return False
    poll = select.poll()
    poll.register(descriptor, 0)
    return any(event & select.POLLERR for _, event in poll.poll(0))


def discard() -> None:
    """Let what is still written go nowhere, instead of failing once more while the interpreter ends."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def unwritable() -> str | None:
    """Return why standard output takes no more, such as a full disk; None when it does."""
    try:
        os.write(sys.stdout.fileno(), b"\n")  # what could not be written before is gone from the buffers
    except OSError as error:
        return error.strerror
    return None


def replace_missing() -> None:
    """Let output that was closed before we started go nowhere: to write would be an error in the middle of the work."""
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115, PTH123 -- for as long as the process lives
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115, PTH123
