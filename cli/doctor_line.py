"""One finding of `doctor`: what was looked at, how it is, what was found, and what to do about it."""

from typing import Literal

import msgspec

Level = Literal["ok", "note", "problem"]


class Line(msgspec.Struct, frozen=True):
    """A finding. A note needs no remedy: it says what is worth knowing, or what was not checked and why."""

    topic: str
    level: Level
    found: str
    remedy: str = ""


def ok(topic: str, found: str) -> Line:
    """Return that something is as it should be."""
    return Line(topic, "ok", found)


def note(topic: str, found: str, remedy: str = "") -> Line:
    """Return something worth knowing that keeps nothing from running."""
    return Line(topic, "note", found, remedy)


def problem(topic: str, found: str, remedy: str) -> Line:
    """Return something to be mended first."""
    return Line(topic, "problem", found, remedy)
