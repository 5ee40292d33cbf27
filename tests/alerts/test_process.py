"""The demo with a webhook: it hears the whole story of a run, and no secret of it."""

from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from storage.embedded import EmbeddedServer
from tests.alerts.webhook import Answer, Behaviour, Webhook, too_many, webhook
from tests.operate.conftest import shell
from tests.system.process import ROOT, Start
from tests.system.test_demo import SHORT

SECRET = "hunter2-token-of-the-webhook"  # noqa: S105 -- planted
CRASHES = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
if "run" in sys.orig_argv:
    from actors.market import MarketActor
    seen, receive = [0], MarketActor.receive

    def fail(self, message):
        if self.context.address.name == "market.BTC":
            seen[0] += 1
            if seen[0] == 100:
                raise OSError("planted: {{0}} refused".format({SECRET!r}))
        receive(self, message)

    MarketActor.receive = fail
"""
"""Imported by Python before anything else: the hundredth message of BTC's market actor is its last."""


@pytest.fixture
def discord() -> Iterator[Webhook]:
    """A webhook that is not at its best: nothing must get lost by that."""
    with webhook(Answer(500), too_many(0.2)) as server:
        yield server


def heard(server: Webhook, *parts: str) -> Callable[[], bool]:
    return lambda: any(all(part in line for part in parts) for line in server.lines)


def test_the_webhook_hears_the_story_of_a_run_and_no_secret(
    start: Start, state_dir: Path, tmp_path: Path, discord: Webhook
) -> None:
    (tmp_path / "sitecustomize.py").write_text(CRASHES)
    environ = {"DISCORD_WEBHOOK_URL": discord.url(SECRET), "FUSEBOX_ALERT_GROUP_S": "1"}
    first = start(*SHORT, PYTHONPATH=str(tmp_path), **environ)
    discord.wait_for(heard(discord, "start: session 1 runs: paper, demo"), 90)
    discord.wait_for(heard(discord, "actor crashed: market.BTC", "planted: *** refused"), 60)
    discord.wait_for(heard(discord, "actor restarted: market.BTC: incarnation 2 runs"), 60)
    discord.wait_for(heard(discord, "trade opened: "), 120)
    discord.wait_for(lambda: heard(discord, "trade closed: ")() or heard(discord, "forced exit: ")(), 120)
    operator = shell(state_dir)
    assert operator("restart", "BTC").returncode == 0
    discord.wait_for(heard(discord, "actor replaced: market.BTC"), 60)
    assert operator("halt", "--reason", "looking at fills").returncode == 0
    discord.wait_for(heard(discord, "!! halt: ", "halt (looking at fills)", "-> closed"), 60)
    took_s = first.interrupt()
    assert (first.process.returncode, took_s < 4.0) == (0, True), first.lines[-20:]
    assert heard(discord, "stop: session 1 stops")()

    again = start(*SHORT, **environ)
    discord.wait_for(heard(discord, "recovery: session 1 goes on", "all closed: halt (looking at fills)"), 90)
    assert operator("resume", "--reason", "the fills are right").returncode == 0
    discord.wait_for(heard(discord, "!! resume: ", "resume (the fills are right)"), 60)
    assert again.interrupt() < 4.0
    assert again.process.returncode == 0

    rows = _rows(state_dir)
    delivered = {kind for kind, delivery in rows["alerts"] if delivery == "delivered"}
    assert delivered >= {"start", "actor crashed", "actor restarted", "trade opened", "halt", "recovery", "resume"}
    assert not [row for row in rows["alerts"] if row[1].startswith(("failed", "suppressed"))]
    assert SECRET not in f"{rows} {discord.documents} {first.lines} {again.lines}"
    assert SECRET not in (state_dir / "fusebox.jsonl").read_text()
    for told in ("texts", "events", "letters"):
        assert "planted: *** refused" in f"{rows[told]}"


def test_a_webhook_that_never_answers_delays_no_trade_and_no_stop(start: Start, state_dir: Path) -> None:
    nothing: Behaviour = "silent"
    with webhook(*[nothing] * 50) as silent:
        supervisor = start(*SHORT, DISCORD_WEBHOOK_URL=silent.url(), FUSEBOX_ALERT_GROUP_S="0")
        silent.wait_for(lambda: silent.requests > 0, 90)
        supervisor.wait_for("closed by", "PnL net", within_s=180)
        took_s = supervisor.interrupt()

    assert (supervisor.process.returncode, took_s < 4.0) == (0, True), supervisor.lines[-20:]
    rows = _rows(state_dir)
    assert {delivery for _, delivery in rows["alerts"]} == {"pending"}


def test_what_a_killed_process_could_not_say_the_next_one_says(start: Start, state_dir: Path) -> None:
    with webhook("silent") as silent:
        killed = start(*SHORT, DISCORD_WEBHOOK_URL=silent.url())
        silent.wait_for(lambda: silent.requests > 0, 90)
        killed.wait_for(" OPEN ", "FILLED", within_s=180)
        killed.kill()
    with webhook() as server:
        again = start(*SHORT, DISCORD_WEBHOOK_URL=server.url())
        server.wait_for(heard(server, "start: session 1 runs", "(may have been sent before)"), 90)
        server.wait_for(heard(server, "recovery: session 1 goes on"), 90)
        assert again.interrupt() < 4.0

    waiting = [kind for kind, delivery in _rows(state_dir)["alerts"] if kind == "start" and delivery != "delivered"]
    assert waiting == []


def _rows(state_dir: Path) -> dict[str, list[tuple[str, str]]]:
    """Return what a person, or another program, could read."""
    server = EmbeddedServer(state_dir)
    try:
        with psycopg.connect(server.start()) as connection:
            return {
                "alerts": connection.execute("SELECT kind, delivery FROM alerts").fetchall(),
                "texts": connection.execute("SELECT kind, text FROM alerts").fetchall(),
                "events": connection.execute("SELECT subject, detail FROM health_events").fetchall(),
                "letters": connection.execute("SELECT target, reason FROM dead_letters").fetchall(),
            }
    finally:
        server.stop()
