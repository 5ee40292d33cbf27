"""Actions over HTTP, and the commands they stand for: to a process, and to what is stored without one."""

from pathlib import Path

import pytest

from cli.page_commands import BY, PageCommands
from config.place import Place, Secret
from core.errors import RejectedError, TransientError
from core.trading.gate import GateLevel
from storage.gate_file import GateFile
from storage.gate_table import read_gate
from storage.pool import Connection
from storage.queries import Session
from tests.web.conftest import NOWHERE, Served


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("restart", {"name": "BTC"}),
        ("halt", {"reason": "fills"}),
        ("halt", {}),
        ("flatten", {"asset": "ETH"}),
        ("flatten", {}),
        ("resume", {"reason": "they are right"}),
    ],
)
def test_an_action_is_handed_on_and_its_outcome_told(bare: Served, name: str, body: dict[str, str]) -> None:
    bare.commands.given.clear()
    with bare.client() as client:
        done = client.post(f"/api/actions/{name}", json=body, headers=bare.token(client))

    assert (done.status_code, done.json()) == (200, {"ok": True, "said": f"{name} done", "lines": ["and more"]})
    assert bare.commands.given == [(name, next(iter(body.values()), ""))]


@pytest.mark.parametrize(
    ("name", "content", "status"),
    [
        ("resume", b'{"reason": ""}', 400),
        ("resume", b'{"reason": "   "}', 400),
        ("restart", b"{}", 400),
        ("halt", b'{"reason": 5}', 400),
        ("halt", b'{"reason": "' + b"x" * 201 + b'"}', 400),
        ("halt", b'{"reason": "' + b"x" * 5000 + b'"}', 400),
        ("halt", b"[]", 400),
        ("halt", b"", 400),
        ("halt", b"\xff", 400),
        ("halt", b"[" * 4000, 400),
        ("buy", b"{}", 404),
        ("halt", b'{"reason": "no"}', 409),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_cannot_be_done_is_said(bare: Served, name: str, content: bytes, status: int) -> None:
    bare.commands.given.clear()
    with bare.client() as client:
        headers = {**bare.token(client), "content-type": "application/json"}
        refused = client.post(f"/api/actions/{name}", content=content, headers=headers)

    assert refused.status_code == status
    assert refused.json()["ok"] is False
    assert refused.json()["error"]


def test_an_action_that_is_a_form_of_another_site_is_not_one(bare: Served) -> None:
    bare.commands.given.clear()
    with bare.client() as client:
        sent = client.post(
            "/api/actions/halt",
            content=b'{"reason":"x"}',
            headers={**bare.token(client), "content-type": "text/plain"},
        )

    assert sent.status_code == 400
    assert bare.commands.given == []


def test_a_reason_reaches_the_trader_on_one_line(bare: Served) -> None:
    bare.commands.given.clear()
    with bare.client() as client:
        client.post("/api/actions/halt", json={"reason": " a\n b\x00\u2028c "}, headers=bare.token(client))

    assert bare.commands.given == [("halt", "a b c")]


# -- without a process --------------------------------------------------------------------------------------------


def test_halt_and_resume_are_stored_for_the_next_start_in_the_name_of_the_page(
    tmp_path: Path, database: str, connection: Connection, session: Session
) -> None:
    commands = PageCommands(Place(tmp_path, Secret(database)))

    assert "the next start goes by it" in commands.halt("odd fills").said
    for state in (read_gate(connection), GateFile(tmp_path, report=print, now_ms=lambda: 0).read()):
        assert [(hold.level, hold.detail, hold.set_by) for hold in state.holds] == [(GateLevel.CLOSED, "odd fills", BY)]

    assert "the next start is not held" in commands.resume("they were right").said
    assert read_gate(connection).holds == ()
    told = connection.execute("SELECT detail FROM health_events ORDER BY id").fetchall()
    assert "resume (they were right) by dashboard" in str(told[-1])


def test_a_restart_needs_a_process_and_flatten_an_asset(tmp_path: Path, database: str) -> None:
    commands = PageCommands(Place(tmp_path, Secret(database)))

    with pytest.raises(TransientError, match="no process trades"):
        commands.restart("BTC")
    with pytest.raises(RejectedError, match="no asset 'DOGE'"):
        commands.flatten("doge")


def test_halt_works_with_the_database_away(tmp_path: Path) -> None:
    done = PageCommands(Place(tmp_path, Secret(NOWHERE))).halt("now")

    assert f"stored in {tmp_path / 'gate'}" in done.said
    assert any("not reachable" in line for line in done.lines)
