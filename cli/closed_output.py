"""Ends quietly when whoever read the output has gone, as after `| head -1`."""

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
