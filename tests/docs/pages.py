"""The documents as text: their links, their commands, the tests and paths they name."""

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = tuple(sorted((ROOT / "docs").glob("*.md"))) + tuple(
    ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")
)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
CODE = re.compile(r"`([^`\n]+)`")
TEST = re.compile(r"\b(?:test_[a-z0-9_]+|Test[A-Z]\w+)\b(?!\.py)")
PATH = re.compile(r"(?:[a-z_]+/)+[a-z_]+\.(?:py|md|sql)|docs/[a-z-]+\.md")
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]*")
ASSIGNED = re.compile(r"^(?:[A-Z_]+=\S+ )+")
COMMAND = re.compile(r"(?:[A-Z_]+=\S+ )*(?:make|python|\.venv/bin/python) ")
VARIABLE = re.compile(r"\b(?:FUSEBOX_[A-Z_]+[A-Z]|DATABASE_URL|DISCORD_WEBHOOK_URL)\b")


def links(page: Path) -> Iterator[str]:
    """Yield the targets of a page's links that stay inside the repository."""
    for target in LINK.findall(page.read_text()):
        if not target.startswith(("http://", "https://", "#")):
            yield target.partition("#")[0]


def shown_commands(text: str) -> Iterator[str]:
    """Yield each command line that a text prints, from indented or fenced blocks and inline code, less its comment."""
    for line in [*(line.strip() for line in text.splitlines()), *CODE.findall(text)]:
        if COMMAND.match(line):
            yield line.partition(" #")[0].strip()


def command_lines(page: Path) -> Iterator[str]:
    """Yield each command line that a page prints, without the variables before it."""
    for command in shown_commands(page.read_text()):
        yield ASSIGNED.sub("", command)
