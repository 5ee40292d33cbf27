"""`migrate`: forward, back and a list, on a database that nobody trades with."""

import json
from collections.abc import Callable
from urllib.parse import urlencode

import pytest
from psycopg.conninfo import conninfo_to_dict

from storage.lease import Lease
from storage.migrate import MIGRATIONS
from tests.commands.conftest import Command

NAMES = sorted(path.stem for path in MIGRATIONS.glob("*.sql") if ".rollback" not in path.name)
Migrate = Callable[..., int]


@pytest.fixture
def migrate(command: Command, empty_database: str) -> Migrate:
    """`migrate` on a database that is empty at first."""
    parts = {name: str(value) for name, value in conninfo_to_dict(empty_database).items() if value is not None}

    def run(*arguments: str) -> int:
        return command("migrate", *arguments, DATABASE_URL=f"postgresql:///?{urlencode(parts)}")

    return run


def states(migrate: Migrate, capsys: pytest.CaptureFixture[str]) -> list[str]:
    assert migrate("--status", "--json") == 0
    listed = json.loads(capsys.readouterr().out)
    assert [each["name"] for each in listed] == NAMES
    return [each["state"] for each in listed]


def test_forward_and_back(migrate: Migrate, capsys: pytest.CaptureFixture[str]) -> None:
    assert states(migrate, capsys) == ["waiting"] * len(NAMES)

    assert migrate() == 0
    assert capsys.readouterr().out == "".join(f"applied {name}\n" for name in NAMES)
    assert states(migrate, capsys) == ["applied"] * len(NAMES)
    assert migrate() == 0
    assert "is up to date" in capsys.readouterr().out

    assert migrate("--down", "1", "--yes") == 0
    assert capsys.readouterr().out == f"undone {NAMES[-1]}\n"
    assert migrate("--to", "2", "--yes", "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"undone": NAMES[2:-1][::-1]}
    assert states(migrate, capsys) == ["applied"] * 2 + ["waiting"] * (len(NAMES) - 2)


def test_back_is_not_done_without_a_yes(migrate: Migrate, capsys: pytest.CaptureFixture[str]) -> None:
    migrate()
    capsys.readouterr()

    assert migrate("--down", "1") == 2
    assert capsys.readouterr().err == (f"fusebox: undoing {NAMES[-1]} drops the data in what they made: say --yes\n")
    assert states(migrate, capsys) == ["applied"] * len(NAMES)


def test_a_version_that_is_not_there_is_named(migrate: Migrate, capsys: pytest.CaptureFixture[str]) -> None:
    migrate()

    assert migrate("--to", "99", "--yes") == 1
    assert "no applied migration is called '99'" in capsys.readouterr().err
    assert migrate("--to", "1", "--down", "1") == 2


def test_back_is_refused_while_a_process_trades(
    migrate: Migrate, empty_database: str, capsys: pytest.CaptureFixture[str]
) -> None:
    migrate()
    lease = Lease.acquire(empty_database, host="elsewhere", pid=7)
    try:
        assert migrate("--down", "1", "--yes") == 1
    finally:
        lease.release()

    assert "process 7 on elsewhere" in capsys.readouterr().err
    assert states(migrate, capsys) == ["applied"] * len(NAMES)
