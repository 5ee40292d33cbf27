"""The page about the command line is what the commands say; every command has examples, every exit code a meaning."""

import re
from pathlib import Path
from typing import Any

import pytest

from cli import exit_codes
from cli.examples import EXAMPLES
from cli.exit_codes import MEANINGS
from cli.main import app
from cli.reference import commands_of, page
from tests.commands.conftest import Command

ROOT = Path(__file__).resolve().parents[2]
COMMANDS: dict[str, Any] = dict(commands_of(app))


def test_the_page_is_what_the_commands_say() -> None:
    text = (ROOT / "docs" / "command-line.md").read_text()

    assert text == page(), "run: python -m cli.reference > docs/command-line.md"


def test_every_command_has_examples_with_options_that_it_has() -> None:
    assert set(EXAMPLES) == set(COMMANDS)
    for path, examples in EXAMPLES.items():
        known = {name for parameter in COMMANDS[path].params for name in parameter.opts}
        for line, purpose in examples:
            assert line.startswith(path), line
            assert purpose
            assert set(re.findall(r"--[a-z-]+", line)) <= known, line


def test_every_exit_code_has_a_meaning() -> None:
    constants = {value for name, value in vars(exit_codes).items() if name.startswith("EXIT_")}

    assert set(MEANINGS) == constants | {0}


@pytest.mark.parametrize("path", COMMANDS)
def test_a_help_names_only_exit_codes_that_there_are(path: str) -> None:
    said = (COMMANDS[path].help or "").partition("Exit code")[2]

    assert {int(number) for number in re.findall(r"(?:^|[ ,:;])(\d+) [a-z]", said)} <= set(MEANINGS)


@pytest.mark.parametrize("path", COMMANDS)
def test_every_help_has_an_examples_section(path: str, command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(*path.split(), "--help") == 0

    printed = capsys.readouterr().out
    assert f"Examples:\n  python supervisor.py {path}" in printed
    assert not set("╭│─╰") & set(printed), "plain where nobody draws"


def test_what_prints_data_can_print_json() -> None:
    without = {path for path, found in COMMANDS.items() if "--json" not in {o for p in found.params for o in p.opts}}

    assert without <= {
        "run", "train", "restart", "add", "remove", "dashboard",
        "checkpoints export", "checkpoints import", "checkpoints rollback",
    }  # fmt: skip
