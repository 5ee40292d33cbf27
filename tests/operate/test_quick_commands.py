"""Commands for a running process load only what they need: an operator waits for them, perhaps in an emergency."""

import subprocess
import sys
from pathlib import Path

import pytest
import typer

from cli import client
from cli.entry import quick
from cli.exit_codes import EXIT_NOT_RUNNING, OF_ERRORS, exit_code
from cli.lazy import LazyCommand, loaded
from cli.main import Commands, app
from cli.usage import UsageError
from config.load import VARIABLES, ConfigError, load_settings
from config.names import VARIABLE_NAMES
from config.place import PROJECT_ROOT, find_place
from core.errors import RejectedError
from models.ppo.hyper import HyperparameterError
from tests.system.process import ROOT

HEAVY = {"mlx", "numpy", "pydantic", "pydantic_settings", "starlette", "uvicorn", "websockets", "httpx", "yoyo"}
LISTING = "import sys; from cli.entry import main\ntry: main()\nfinally: print(' '.join(sys.modules), file=sys.stderr)"


def modules_of(state_dir: Path, *arguments: str) -> set[str]:
    """Return the top-level packages that a command imported, whatever came of it."""
    done = subprocess.run(
        [sys.executable, "-c", LISTING, *arguments],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", "FUSEBOX_STATE_DIR": str(state_dir)},
        capture_output=True,
        text=True,
        check=False,
    )
    return {name.split(".", 1)[0] for name in done.stderr.splitlines()[-1].split()} if done.stderr else set()


@pytest.mark.parametrize(
    "arguments",
    [
        ("restart", "BTC"),
        ("add", "BTC"),
        ("remove", "BTC"),
        ("status", "--json"),
        ("status", "--heartbeat"),
        ("halt",),
        ("halt", "--reason", "fills"),
        ("resume", "--reason", "right"),
        ("flatten",),
    ],
    ids=" ".join,
)
def test_a_command_for_a_running_process_imports_neither_models_nor_venues(
    tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    imported = modules_of(tmp_path, *arguments)

    assert {"cli", "psycopg"} <= imported
    assert imported & (HEAVY | {"rich", "typer", "models", "venues"}) == set()


def test_status_for_people_adds_only_what_draws_tables(tmp_path: Path) -> None:
    imported = modules_of(tmp_path, "status")

    assert "rich" in imported
    assert imported & HEAVY == set()


def test_the_list_of_commands_is_printed_without_loading_any(tmp_path: Path) -> None:
    imported = modules_of(tmp_path, "--help")

    assert imported & (HEAVY | {"psycopg", "actors"}) == set()


@pytest.mark.parametrize("command", Commands.lazy_commands, ids=lambda command: command.name)
def test_the_list_says_what_a_command_says_of_itself(command: LazyCommand) -> None:
    group = typer.main.get_group(app)
    found = loaded(command.name, command.target)

    assert command.name in group.list_commands(typer.Context(group))
    assert " ".join(found.help.split()).startswith(command.summary)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "run",
        "restart",
        "restart --help",
        "restart BTC --timeout 3",
        "status --help",
        "add --asset",
        "replay x",
        "halt now",
        "halt --json",
        "resume",
        "resume why",
        "flatten BTC --json",
    ],
)
def test_what_is_not_plain_is_left_to_the_command_line_proper(line: str) -> None:
    assert quick(line.split()) is None


@pytest.mark.parametrize("line", ["restart BTC", "restart BTC --timeout 10"])
def test_the_plain_form_and_the_one_with_options_answer_alike(tmp_path: Path, line: str) -> None:
    done = subprocess.run(
        [sys.executable, "supervisor.py", *line.split()],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", "FUSEBOX_STATE_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == EXIT_NOT_RUNNING
    assert done.stderr == f"fusebox: no process trades with {tmp_path}: `python supervisor.py run` starts one\n"


# -- where the process is ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"FUSEBOX_STATE_DIR": "elsewhere"},
        {"FUSEBOX_STATE_DIR": "~/elsewhere"},
        {"FUSEBOX_STATE_DIR": "", "FUSEBOX_WINDOW_S": "20"},
        {"FUSEBOX_STATE_DIR": "/elsewhere", "DATABASE_URL": "postgresql://user:pass@host/name"},
    ],
    ids=str,
)
def test_the_place_is_what_all_settings_together_say(environ: dict[str, str]) -> None:
    place, settings = find_place(environ), load_settings(environ)

    assert place is not None
    assert place.state_dir == settings.state_dir
    secret = settings.database_url
    assert (place.database_url and place.database_url.get_secret_value()) == (secret and secret.get_secret_value())


def test_a_dotenv_file_counts_and_the_environment_counts_more(tmp_path: Path) -> None:
    env_file = tmp_path / ".env"
    env_file.write_text("FUSEBOX_STATE_DIR=filed\nDATABASE_URL=postgres://filed\n")

    place = find_place({"FUSEBOX_STATE_DIR": "given"}, env_file)

    assert place is not None
    assert place.state_dir == PROJECT_ROOT / "given"
    assert place.database_url is not None
    assert place.database_url.get_secret_value() == "postgres://filed"


def test_the_databases_address_is_never_shown() -> None:
    place = find_place({"DATABASE_URL": "postgres://user:secret@host"})

    assert place is not None
    assert "secret" not in repr(place.database_url)
    assert "secret" not in str(vars(place))


@pytest.mark.parametrize("environ", [{"FUSEBOX_STATEDIR": "typo"}, {"DATABASE_URL": "mysql://host"}], ids=str)
def test_what_cannot_be_right_is_refused_by_the_full_loader(
    environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environ.items():
        monkeypatch.setenv(name, value)

    assert find_place(environ) is None
    with pytest.raises(ConfigError, match=next(iter(environ))):
        client.client_settings()


def test_every_setting_is_known_by_name() -> None:
    assert set(VARIABLES.values()) == VARIABLE_NAMES, "config/names.py lists the variables of config/settings.py"


# -- exit codes -------------------------------------------------------------------------------------------------------


def test_each_error_has_its_exit_code() -> None:
    told = [ConfigError("x"), UsageError("x"), HyperparameterError("x")]
    errors = [*told, client.NotRunningError("x"), client.NoAnswerError("x"), RejectedError("x")]

    assert [exit_code(error) for error in errors] == [2, 2, 2, 3, 4, 1]
    assert {f"{type(e).__module__}.{type(e).__name__}" for e in errors[:-1]} == set(OF_ERRORS)


def test_paper_trading_loads_nothing_that_signs_orders() -> None:
    """The vendor's packages take seconds and megabytes."""
    code = "import sys, cli.run; print([name for name in sys.modules if name.startswith(('eth_', 'py_clob'))])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)

    assert found.stdout.strip() == "[]"
