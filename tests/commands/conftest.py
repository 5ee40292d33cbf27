"""Commands in this process, quick to run: their output and exit code, with no setting but those a test gives."""

import gc
import os
import sys
from collections.abc import Callable

import pytest

from cli import entry

Command = Callable[..., int]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Command:
    """Run a command line and return its exit code; settings by keyword, by the name of their variable."""
    for name in list(os.environ):
        if name.startswith(("FUSEBOX_", "DATABASE_URL", "DISCORD_")):
            monkeypatch.delenv(name)

    def run(*arguments: str, **environ: str) -> int:
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(sys, "argv", ["supervisor.py", *arguments])
        with pytest.raises(SystemExit) as end:
            entry.main()
        gc.enable()  # a quick command does without
        return end.value.code if isinstance(end.value.code, int) else 0

    return run
