"""Operator control of the real process, from another shell: real sockets, a real PostgreSQL."""

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import msgspec

from storage.embedded import recorded_uri
from storage.pool import connect
from tests.monitoring.scraping import number, scrape
from tests.operate.conftest import Fusebox
from tests.system.process import Start, Supervisor
from tests.system.test_demo import reconcile

SHORT = ("--window-s", "20", "--assets", "BTC,ETH")
ACTORS = ["db_writer", "notifier", "portfolio", "executor", "watchdog", "learner", "discovery"]


def status(operator: Fusebox) -> dict[str, Any]:
    done = operator("status", "--json")
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def asset(found: dict[str, Any], name: str) -> dict[str, Any]:
    line: dict[str, Any] = next(each for each in found["assets"] if each["asset"] == name)
    return line


def actor(found: dict[str, Any], name: str) -> dict[str, Any]:
    line: dict[str, Any] = next(each for each in found["actors"] if each["address"] == name)
    return line


def decisions_recorded(operator: Fusebox, name: str, at_least: int) -> dict[str, Any]:
    """Ask until the asset has decided that often."""
    deadline_s = time.monotonic() + 40
    while asset(found := status(operator), name)["decisions"] < at_least:
        assert time.monotonic() < deadline_s, found
    return found


def test_a_restarted_asset_goes_on_where_it_was_and_the_other_misses_no_decision(
    trading: Supervisor, operator: Fusebox
) -> None:
    before = decisions_recorded(operator, "BTC", 4)
    done = operator("restart", "BTC")
    assert done.returncode == 0, done.stderr
    assert "market.BTC (incarnation 2)" in done.stdout
    assert float(done.stdout.split(" in ")[1].split(" ms")[0]) < 250
    after = decisions_recorded(operator, "BTC", asset(before, "BTC")["decisions"] + 6)

    took_s = (after["at_ms"] - before["at_ms"]) / 1000
    assert asset(after, "ETH")["decisions"] - asset(before, "ETH")["decisions"] >= int(took_s / 0.5) - 1
    for name in ("market.BTC", "feed.polymarket.BTC", "feed.binance.BTC"):
        assert (actor(after, name)["incarnation"], actor(after, name)["restarts"]) == (2, 1)
        assert actor(after, name)["last_failure"] is None
    assert {actor(after, name)["incarnation"] for name in (*ACTORS, "market.ETH", "feed.binance.ETH")} == {1}


def test_status_shows_actors_assets_gate_positions_and_the_lease(trading: Supervisor, operator: Fusebox) -> None:
    trading.wait_for("OPEN", "FILLED", within_s=180)
    found = status(operator)

    assert (found["schema"], found["running"], found["failure"]) == (1, True, None)
    assert [each["address"] for each in found["actors"]][:7] == ACTORS
    assert {each["life"] for each in found["actors"]} == {"running"}
    assert {"mailbox", "last_message_age_s", "busy_since_ms", "last_failure", "restarts"} <= set(found["actors"][0])
    assert [each["asset"] for each in found["assets"]] == ["BTC", "ETH"]
    assert found["gate"]["level"] == "open"
    assert found["lease"]["pid"] == found["process"]["pid"] == trading.process.pid
    assert (found["lease"]["epoch"], found["process"]["session"]) == (1, 1)
    held = [each["position"] for each in found["assets"] if each["position"]]
    assert all(float(position["shares"]) > 0 for position in held)
    assert set(found["portfolio"]) >= {"cash_usd", "open_cost_usd", "pnl_net_usd", "fees_usd", "trades"}
    shown = operator("status").stdout
    assert all(part in shown for part in (*ACTORS, "market.BTC", "lease: process", "gate: open", "btc-updown-20s-"))


def test_money_actors_restarted_in_the_middle_of_a_trade_trade_on(trading: Supervisor, operator: Fusebox) -> None:
    """The shared process's end checks that the books are exact."""
    trading.wait_for("OPEN", "FILLED", within_s=180)
    for name in ("executor", "portfolio", "db_writer"):
        done = operator("restart", name)
        assert done.returncode == 0, done.stderr
    trading.wait_for("closed by", within_s=180)
    found = status(operator)

    assert [actor(found, name)["incarnation"] for name in ("executor", "portfolio", "db_writer")] == [2, 2, 2]


def test_wrong_names_are_refused_with_what_there_is(trading: Supervisor, operator: Fusebox, shared_dir: Path) -> None:
    for arguments, said in (
        (("restart", "DOGE"), "no asset or actor 'DOGE': assets are BTC, ETH"),
        (("add", "DOGE"), "no asset 'DOGE': choose from BTC"),
        (("add", "BTC"), "BTC is traded already"),
        (("remove", "SOL"), "'SOL' is not traded"),
        (("checkpoints", "rollback", "market.DOGE"), "there is no checkpoint 'market.DOGE'"),
        (("checkpoints", "rollback", "portfolio"), "--force"),
    ):
        done = operator(*arguments)
        assert (done.returncode, len(done.stderr.splitlines())) == (1, 1), done.stderr
        assert said in done.stderr
    uri = recorded_uri(shared_dir)
    assert uri is not None
    with connect(uri) as connection:
        unanswered = connection.execute("SELECT count(*) FROM commands WHERE acknowledged_at IS NULL").fetchone()
    assert unanswered == (0,)
    assert trading.process.poll() is None


def test_a_dump_shows_every_actors_stack_and_mailbox_and_trading_goes_on(
    trading: Supervisor, operator: Fusebox, shared_dir: Path
) -> None:
    before = decisions_recorded(operator, "ETH", 1)
    os.kill(trading.process.pid, signal.SIGUSR1)
    trading.wait_for("dumped", "mailboxes to the log file", within_s=10)
    lines = [msgspec.json.decode(line) for line in (shared_dir / "fusebox.jsonl").read_bytes().splitlines()]
    log = "\n".join(line["text"] for line in lines)

    for name in ACTORS:
        number = actor(before, name)["incarnation"]
        assert f"actor {name}#{number} running" in log
        assert f"thread {name}#{number} (" in log
    assert "thread MainThread" in log
    assert "next_envelope" in log
    decisions_recorded(operator, "ETH", asset(before, "ETH")["decisions"] + 4)


def test_metrics_agree_with_status_and_one_search_of_the_log_tells_a_trade(
    trading: Supervisor, operator: Fusebox, shared_dir: Path
) -> None:
    url = next(line.rpartition(" ")[2] for line in trading.lines if "metrics at http://127.0.0.1:" in line)
    trading.wait_for("closed by", within_s=180)
    before, shown, after = status(operator), scrape(url), status(operator)

    for name in ("BTC", "ETH"):
        decided = number(shown, "fusebox_decisions_total", asset=name)
        assert asset(before, name)["decisions"] <= decided <= asset(after, name)["decisions"]
        assert number(shown, "fusebox_feed_frames_total", venue="polymarket", asset=name) > 0
    assert number(shown, "fusebox_ready") == 1
    assert number(shown, "fusebox_lease_epoch") == before["lease"]["epoch"]
    assert number(shown, "fusebox_actor_incarnation", actor="market.BTC") == actor(after, "market.BTC")["incarnation"]
    assert number(shown, "fusebox_trades_total") >= 1
    assert number(shown, "fusebox_commit_seconds_count") > 0
    assert number(shown, "process_open_fds") > 0

    lines = [msgspec.json.decode(line) for line in (shared_dir / "fusebox.jsonl").read_bytes().splitlines()]
    entry = next(line["entry"] for line in lines if line.get("stage") == "closed")
    found = [line for line in lines if entry in str(line)]
    stages = {each.get("stage") for each in found}
    assert {"decided", "sized", "committed", "sent", "filled", "ended", "closed"} <= stages
    assert any(each["logger"] == "actors.executor" and each["intent"] == entry for each in found)


def test_a_stopped_process_does_not_answer_and_the_command_is_withdrawn(trading: Supervisor, operator: Fusebox) -> None:
    before = actor(status(operator), "market.BTC")["incarnation"]
    os.kill(trading.process.pid, signal.SIGSTOP)
    try:
        done = operator("restart", "BTC", "--timeout", "0.5")
    finally:
        os.kill(trading.process.pid, signal.SIGCONT)

    assert (done.returncode, len(done.stderr.splitlines())) == (4, 1), done.stderr
    assert "did not answer `restart` within 0.5 s" in done.stderr
    assert actor(status(operator), "market.BTC")["incarnation"] == before


def test_an_asset_is_added_and_another_removed_while_the_third_trades_on(
    trading: Supervisor, operator: Fusebox
) -> None:
    before = decisions_recorded(operator, "BTC", 2)
    added = operator("add", "sol")
    assert added.returncode == 0, added.stderr
    found = decisions_recorded(operator, "SOL", 2)
    assert [each["asset"] for each in found["assets"]] == ["BTC", "ETH", "SOL"]
    trading.wait_for("SOL OPEN", "FILLED", within_s=180)

    assert operator("remove", "ETH").returncode == 0
    trading.wait_for("ETH is removed", within_s=30)
    found = status(operator)
    assert [each["asset"] for each in found["assets"]] == ["BTC", "SOL"]
    assert {hold["scope"] for hold in found["gate"]["holds"] if hold["reason"] == "retired"} == {"ETH"}
    took_s = (found["at_ms"] - before["at_ms"]) / 1000
    assert asset(found, "BTC")["decisions"] - asset(before, "BTC")["decisions"] >= int(took_s / 0.5) - 1
    for name in ("market.BTC", "discovery", "watchdog"):
        assert actor(found, name)["incarnation"] == actor(before, name)["incarnation"]

    assert operator("add", "ETH").returncode == 0
    assert asset(decisions_recorded(operator, "ETH", 1), "ETH")["leaving"] is False


def test_what_a_stopped_process_leaves_is_shown_and_commands_exit_with_3(
    start: Start, fusebox: Fusebox, state_dir: Path
) -> None:
    trading = start(*SHORT, FUSEBOX_LOG_FORMAT="json")
    trading.wait_for("closed by", within_s=180)
    beat = fusebox("status", "--heartbeat")
    assert beat.returncode == 0, beat.stdout
    assert f"process {trading.process.pid}, session 1, gate " in beat.stdout
    assert trading.interrupt() < 4.0
    assert {"at", "level", "logger", "text"} <= set.intersection(*(set(json.loads(line)) for line in trading.lines))
    assert not (state_dir / "heartbeat.json").exists()
    assert fusebox("status", "--heartbeat").returncode == 1
    for arguments in (("restart", "BTC"), ("add", "SOL"), ("remove", "BTC")):
        done = fusebox(*arguments)
        assert (done.returncode, len(done.stderr.splitlines())) == (3, 1), done.stderr
        assert "no process trades" in done.stderr
    shown = fusebox("status")
    assert shown.returncode == 3
    assert "not running" in shown.stdout
    stored = fusebox("status", "--json")
    assert stored.returncode == 3
    found = json.loads(stored.stdout)
    assert (found["running"], found["session"]["id"], found["last_lease"]["epoch"]) == (False, 1, 1)
    assert found["session"]["trades"] == reconcile(state_dir).ledger.trade_count
    assert found["events"]


def test_a_rolled_back_portfolio_runs_on_and_after_a_kill_nobody_trades(
    start: Start, fusebox: Fusebox, state_dir: Path
) -> None:
    trading = start(*SHORT)
    trading.wait_for("closed by", within_s=180)
    done = fusebox("checkpoints", "rollback", "portfolio", "--force")
    assert done.returncode == 0, done.stderr
    assert actor(status(fusebox), "portfolio")["incarnation"] == 2
    trading.wait_for("OPEN", within_s=180)

    trading.kill()
    done = fusebox("restart", "BTC")
    assert (done.returncode, len(done.stderr.splitlines())) == (3, 1), done.stderr
    assert fusebox("status", "--heartbeat", "--max-age-s", "0.2").returncode == 1


def test_nothing_was_ever_stored_is_said_in_one_line(fusebox: Fusebox, state_dir: Path) -> None:
    for arguments in (("restart", "BTC"), ("checkpoints", "list")):
        done = fusebox(*arguments)
        assert (done.returncode, len(done.stderr.splitlines())) == (3, 1), done.stderr
    assert fusebox("status").returncode == 3
    assert list(state_dir.iterdir()) == []
