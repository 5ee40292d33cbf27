"""What the documents say exists: links, paths, tests, settings, make targets, commands and their options."""

import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import typer

from cli.exit_codes import EXIT_LEASE_LOST
from cli.main import EXIT_BAD_CONFIG, EXIT_ESCALATED, EXIT_FAILED, app
from config.load import VARIABLES
from config.reference import page as configuration_page
from config.settings import Settings
from tests.docs.pages import LINK, OPTION, PAGES, PATH, ROOT, TEST, VARIABLE, command_lines, links
from venues.recordings.opening import FORMATS

README = ROOT / "README.md"
COMMANDS = typer.main.get_group(app)
DEFINED = re.compile(r"^(?:def |class )?((?:test_|Test)\w+)(?= = |\(|:)", re.MULTILINE)
MODULES = re.compile(r"python -m ([a-z_.]+[a-z])")


def options_of(*words: str) -> set[str]:
    """Return the options of one command of the command line; `words` may go on with its arguments."""
    found = COMMANDS.get_command(typer.Context(COMMANDS), words[0])
    assert found is not None, f"there is no command {words[0]}"
    below = getattr(found, "commands", None)
    if below is not None and len(words) > 1:
        assert words[1] in below, f"there is no command {words[0]} {words[1]}"
        found = below[words[1]]
    return {name for parameter in found.params for name in parameter.opts if name.startswith("--")} | {"--help"}


def supervisor(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command line to its end, in plain text and wide enough not to cut names."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("FUSEBOX_", "DATABASE_URL"))}
    return subprocess.run(
        [sys.executable, "supervisor.py", *arguments],
        cwd=ROOT,
        env={**clean, "COLUMNS": "160", "_TYPER_FORCE_DISABLE_TERMINAL": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def by_name(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=by_name)
def test_links_lead_somewhere(page: Path) -> None:
    missing = [target for target in links(page) if not (page.parent / target).exists()]

    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=by_name)
def test_named_files_and_tests_exist(page: Path) -> None:
    text = page.read_text()
    known = {name for path in (ROOT / "tests").rglob("test_*.py") for name in DEFINED.findall(path.read_text())}
    files = [path for path in PATH.findall(LINK.sub("", text)) if not (ROOT / path).exists()]
    unknown = [name for name in TEST.findall(text) if name not in known]

    assert files == []
    assert unknown == []


@pytest.mark.parametrize("page", PAGES, ids=by_name)
def test_named_settings_exist(page: Path) -> None:
    assert set(VARIABLE.findall(page.read_text())) <= set(VARIABLES.values())


@pytest.mark.parametrize("page", PAGES, ids=by_name)
def test_printed_commands_exist_with_their_options(page: Path) -> None:
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    for line in command_lines(page):
        words = line.split()
        if words[0] == "make":
            assert words[1] in targets, line
        elif "supervisor.py" in words[1:2]:
            assert set(OPTION.findall(line)) <= options_of(*words[2:]), line


def test_modules_that_a_page_runs_exist() -> None:
    named = {module for page in PAGES for line in command_lines(page) for module in MODULES.findall(line)}

    assert {"bench.replay", "bench.memory", "config.reference", "venues.sim"} <= named
    assert [module for module in sorted(named) if find_spec(module) is None] == []


@pytest.mark.parametrize("command", COMMANDS.commands)
def test_help_shows_every_option(command: str) -> None:
    done = supervisor(command, "--help")

    assert done.returncode == 0, done.stderr
    assert options_of(command) <= set(OPTION.findall(done.stdout))


def test_the_readme_shows_how_to_run_and_replay_and_links_every_page() -> None:
    text = README.read_text()

    for command in ("run", "replay"):
        assert f"supervisor.py {command}" in text
    assert {f"docs/{page.name}" for page in PAGES if page.parent.name == "docs"} <= set(links(README))


def test_the_readme_states_the_exit_codes_of_the_program() -> None:
    rows = dict(re.findall(r"^\| (\d+) \| (.+) \|$", README.read_text(), re.MULTILINE))

    assert set(rows) == {"0", str(EXIT_FAILED), str(EXIT_BAD_CONFIG), str(EXIT_ESCALATED), str(EXIT_LEASE_LOST)}


def test_the_readme_admits_what_the_program_does_not_do() -> None:
    text = " ".join(README.read_text().split()).lower()

    for admitted in (
        "never against polymarket itself",
        "pays more than the real one",
        "loses money",
        "no financial advice",
    ):
        assert admitted in text
    for mode in ("live", "dual"):
        done = supervisor("run", "--mode", mode)
        assert done.returncode == EXIT_BAD_CONFIG
        assert f"mode {mode}" in done.stderr


def test_the_replay_page_has_every_format() -> None:
    text = (ROOT / "docs" / "replay.md").read_text()

    assert [name for name in FORMATS if f"`{name}`" not in text] == []


def test_the_configuration_page_is_what_the_settings_say() -> None:
    text = (ROOT / "docs" / "configuration.md").read_text()

    assert text == configuration_page(), "run: python -m config.reference > docs/configuration.md"
    assert [name for name in Settings.model_fields if f"`{VARIABLES[name]}`" not in text] == []
