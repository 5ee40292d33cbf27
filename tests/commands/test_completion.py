"""Completion in bash, zsh and fish: commands, options and names; quick, and never in the way."""

from pathlib import Path

import pytest

from actors import addresses
from cli.completion import SHELLS, VARIABLE
from cli.completion_names import ASSETS, PER_ASSET_ACTORS, SHARED_ACTORS, actors, assets, sessions, trades
from config.limits import KNOWN_ASSETS
from core.runtime.address import Address
from tests.commands.conftest import Command


def completed(line: str, command: Command, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Return what bash is offered at the end of `line`."""
    words = line.split(" ")
    command(COMP_WORDS=line, COMP_CWORD=str(len(words) - 1), **{VARIABLE: "complete_bash"})
    out, told = capsys.readouterr()
    assert told == ""
    return out.split()


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("fusebox sta", ["status"]),
        ("fusebox status --js", ["--json"]),
        ("fusebox restart feed.binance.", [f"feed.binance.{asset}" for asset in KNOWN_ASSETS]),
        ("fusebox flatten S", ["SOL"]),
        ("fusebox checkpoints ro", ["rollback"]),
        ("fusebox nosuch --x", []),
    ],
)
def test_what_is_typed_is_completed(
    line: str, offered: list[str], command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    assert completed(line, command, capsys) == offered


def test_names_are_those_of_the_running_system() -> None:
    shared = {value.name for value in vars(addresses).values() if isinstance(value, Address)}

    assert ASSETS == KNOWN_ASSETS
    assert set(SHARED_ACTORS) <= shared
    for kind in PER_ASSET_ACTORS:
        assert f"{kind}.BTC" in {
            addresses.market("BTC").name, *(f"feed.{venue}.BTC" for venue in ("polymarket", "binance"))
        }  # fmt: skip
    assert assets("b") == ["BTC"]
    assert "executor" in actors("exec")


def test_sessions_and_trades_are_nothing_where_no_database_runs(
    state_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FUSEBOX_STATE_DIR", str(state_dir))
    assert sessions("") == trades("") == []

    monkeypatch.setenv("DATABASE_URL", "postgresql://u:hunter2@127.0.0.1:1/x")
    assert sessions("") == trades("") == []


def test_sessions_and_trades_come_from_a_database_that_runs(
    database: str, state_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (state_dir / "postgres.uri").write_text(database)
    monkeypatch.setenv("FUSEBOX_STATE_DIR", str(state_dir))
    monkeypatch.delenv("DATABASE_URL", raising=False)
    from storage.pool import connect  # noqa: PLC0415
    from storage.queries import open_session  # noqa: PLC0415

    with connect(database) as connection:
        made = open_session(connection, "paper", {}, venue="demo", new=False, now_ms=1_776_727_800_000)

    assert sessions("") == [str(made.id)]
    assert trades("1.") == []


@pytest.mark.parametrize("shell", SHELLS)
def test_the_script_of_each_shell_asks_fusebox(
    shell: str, command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("--show-completion", shell) == 0
    script = capsys.readouterr().out
    assert f"{VARIABLE}=complete_{shell}" in script
    assert "supervisor.py" not in script


def test_an_unknown_shell_is_refused(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("--show-completion", "tcsh") == 2
    assert "name one of bash, zsh, fish" in capsys.readouterr().err


def test_installing_says_where(
    command: Command, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Path, "home", lambda: tmp_path)

    assert command("--install-completion", "fish") == 0
    file = tmp_path / ".config" / "fish" / "completions" / "fusebox.fish"
    assert str(file) in capsys.readouterr().out
    assert file.exists()
