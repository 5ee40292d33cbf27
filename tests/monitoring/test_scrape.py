"""What Prometheus reads: a real scrape over HTTP of the assembled system, against what that system has done."""

import json
import re
import socket
import threading
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from cli.exit_codes import EXIT_BAD_CONFIG
from cli.metrics import Metrics
from cli.metrics_server import MetricsServer
from config.load import ConfigError
from core.records import FillRecord, OrderRecord, TradeRecord
from core.status import LearnerStatus
from core.trading.gate import GateLevel
from tests.monitoring.conftest import COMMIT_S, Followed
from tests.monitoring.scraping import names, number, scrape
from tests.system.process import Start

DOCS = Path(__file__).resolve().parents[2] / "docs"
METRIC = re.compile(r"\b(?:fusebox|process|python)_[a-z0-9_]+[a-z0-9]\b")


def url_of(metrics: Metrics) -> str:
    assert metrics.url is not None
    return metrics.url


def traded(followed: Followed) -> Followed:
    """Let both accounts open, and the watchdog close what they hold before the window ends."""
    followed.run_to(58)
    learnt(followed)
    return followed


def learnt(followed: Followed) -> None:
    """Let the learner show an update."""
    shown = LearnerStatus(3, "test", 512, updates=2, entropy=0.9, kl=0.01, explained_variance=0.4, reward_usd=1.5)
    followed.system.board.publish("learner", shown, 0)


def test_orders_fills_and_trades_are_those_that_were_written(followed: Followed, metrics: Metrics) -> None:
    traded(followed)
    shown = scrape(url_of(metrics))

    orders = {row.id: row.state for row in followed.rows if isinstance(row, OrderRecord)}
    assert len(orders) >= 4
    assert number(shown, "fusebox_orders_total", state="SIZED") == len(orders)
    assert number(shown, "fusebox_orders_total", state="FILLED") == list(orders.values()).count("FILLED")
    fills = {row.id: row for row in followed.rows if isinstance(row, FillRecord)}
    assert number(shown, "fusebox_fills_total", liquidity="TAKER") == len(fills)
    trades = {row.id for row in followed.rows if isinstance(row, TradeRecord)}
    assert number(shown, "fusebox_trades_closed_total", forced="true") == len(trades) == 2
    assert number(shown, "fusebox_wishes_total", account="live", action="OPEN") >= 1


def test_money_is_that_of_each_account(followed: Followed, metrics: Metrics) -> None:
    followed.run_to(5)
    url = url_of(metrics)
    held = scrape(url)
    assert number(held, "fusebox_exposure_usd", account="live") > 0
    assert number(held, "fusebox_asset_shares", account="paper", asset="BTC") > 0
    assert number(held, "fusebox_pnl_open_usd", asset="BTC") < 0  # the spread and the fee

    followed.run_to(58)
    flat = scrape(url)
    trades = [row for row in followed.rows if isinstance(row, TradeRecord) and row.session_id == 1]
    for account in ("live", "paper"):
        assert number(flat, "fusebox_exposure_usd", account=account) == 0
        assert number(flat, "fusebox_trades_total", account=account) == 1
    assert number(flat, "fusebox_pnl_realised_usd", account="live") == pytest.approx(trades[0].pnl_net_usd / 1e6)
    assert number(flat, "fusebox_fees_usd", account="live") == pytest.approx(trades[0].fees_usd / 1e6)


def test_each_part_of_the_way_is_measured(followed: Followed, metrics: Metrics) -> None:
    traded(followed)
    shown = scrape(url_of(metrics))

    sent = number(shown, "fusebox_orders_total", state="SUBMITTED")
    assert number(shown, "fusebox_decision_to_hand_over_seconds_count") == sent
    assert number(shown, "fusebox_hand_over_to_answer_seconds_count") == sent
    answered_s = number(shown, "fusebox_hand_over_to_answer_seconds_sum") / sent
    assert answered_s == pytest.approx(0.2, abs=0.05)  # latency 50 ms, and the venue's delay for takers 150 ms
    wishes = number(shown, "fusebox_wishes_total")
    assert number(shown, "fusebox_frame_to_decision_seconds_count") == wishes
    assert number(shown, "fusebox_commit_seconds_sum") == pytest.approx(
        COMMIT_S * number(shown, "fusebox_commit_seconds_count")
    )


def test_the_gate_and_its_holds_are_shown(followed: Followed, metrics: Metrics) -> None:
    followed.run_to(2)
    gate, url = followed.system.gate, url_of(metrics)
    assert number(scrape(url), "fusebox_gate_level") == 0

    gate.hold("BTC", "feed stale", GateLevel.REDUCE_ONLY)
    one = scrape(url)
    assert number(one, "fusebox_gate_level") == 0
    assert number(one, "fusebox_asset_gate_level", asset="BTC") == 1
    assert number(one, "fusebox_gate_holds", asset="BTC", lasting="false") == 1

    gate.hold(None, "halt", GateLevel.CLOSED)
    every = scrape(url)
    assert number(every, "fusebox_gate_level") == 2
    assert number(every, "fusebox_gate_holds", asset="all", lasting="true") == 1


def test_a_limit_shows_what_is_allowed_and_what_is_used(followed: Followed, metrics: Metrics) -> None:
    traded(followed)
    found, at = scrape(url_of(metrics)), {"limit": "total_exposure", "asset": "all"}
    assert number(found, "fusebox_limit", **at) == 5_000
    assert 0 <= number(found, "fusebox_limit_used", **at) < 5_000


def test_a_feed_of_which_nobody_tells_grows_old(followed: Followed, metrics: Metrics) -> None:
    followed.run_to(2)
    url = url_of(metrics)
    before_s = number(scrape(url), "fusebox_feed_age_seconds", venue="polymarket", asset="BTC")
    followed.clock.advance_to(followed.clock.now_ms() + 10_000)

    assert number(scrape(url), "fusebox_feed_age_seconds", venue="polymarket", asset="BTC") >= before_s + 10


def test_a_process_that_waits_shows_that_it_is_not_ready(metrics: Metrics) -> None:
    shown = scrape(url_of(metrics))

    assert number(shown, "fusebox_ready") == 0
    assert number(shown, "process_resident_memory_bytes") > 0
    assert "fusebox_gate_level" not in names(shown)


def test_the_journal_the_learner_and_the_process_are_shown(followed: Followed, metrics: Metrics) -> None:
    followed.run_to(2)
    learnt(followed)
    shown = scrape(url_of(metrics))

    assert number(shown, "fusebox_journal_entries") == 7
    assert number(shown, "fusebox_database_up") == 1
    assert number(shown, "fusebox_database_rows_written_total") > 0
    assert number(shown, "fusebox_learner_entropy") == 0.9
    assert number(shown, "fusebox_learner_updates_total") == 2
    assert number(shown, "fusebox_threads") >= 1
    assert number(shown, "fusebox_actor_up") == len(followed.system.cells)


def test_every_metric_of_dashboard_and_alert_rules_is_exported(followed: Followed, metrics: Metrics) -> None:
    traded(followed)
    exported = names(scrape(url_of(metrics)))
    dashboard = json.loads((DOCS / "monitoring" / "dashboard.json").read_text())
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", ())]
    rules = re.findall(r"^\s+expr: (.+)$", (DOCS / "monitoring" / "alerts.yml").read_text(), re.MULTILINE)

    assert len(queries) > 20
    assert len(rules) > 15
    assert {name for text in (*queries, *rules) for name in METRIC.findall(text)} <= exported


def test_the_dashboard_takes_any_source() -> None:
    dashboard = json.loads((DOCS / "monitoring" / "dashboard.json").read_text())

    assert dashboard["templating"]["list"][0]["type"] == "datasource"
    assert {panel["datasource"]["uid"] for panel in dashboard["panels"] if "targets" in panel} == {"${datasource}"}
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])


def test_every_alert_says_what_to_do() -> None:
    text = (DOCS / "monitoring" / "alerts.yml").read_text()
    operating = (DOCS / "operating.md").read_text() + (DOCS / "monitoring.md").read_text()
    alerts = re.findall(r"- alert: (\w+)\n(.*?)(?=\n      - alert:|\Z)", text, re.DOTALL)

    assert len(alerts) > 15
    for name, body in alerts:
        assert "summary:" in body, name
        assert "runbook: " in body, name
        assert "docs/operating.md" in body, name
        assert f"`{name}`" in operating, name


def test_every_metric_is_described_and_nothing_else(followed: Followed, metrics: Metrics) -> None:
    traded(followed)
    exported = {
        (family.name + ("_total" if family.type == "counter" else ""), family.type): {
            label for sample in family.samples for label in sample.labels if label != "le"
        }
        for family in scrape(url_of(metrics))
        if family.name.startswith("fusebox_")
    }
    rows = re.findall(
        r"^\| `(fusebox_\w+)` \| (\w+) \| (.*?) \| .+ \|$", (DOCS / "monitoring.md").read_text(), re.MULTILINE
    )
    described = {(name, kind): set(re.findall(r"`(\w+)`", labels)) for name, kind, labels in rows}

    assert described == exported


def test_a_taken_port_is_one_line(metrics: Metrics) -> None:
    port = int(url_of(metrics).rpartition(":")[2].removesuffix("/metrics"))

    with pytest.raises(
        ConfigError, match=rf"^FUSEBOX_METRICS_PORT={port}: cannot listen on 127.0.0.1: Address already"
    ):
        MetricsServer("127.0.0.1", port, CollectorRegistry())


def test_a_host_that_is_not_ours_is_one_line() -> None:
    with pytest.raises(ConfigError, match=r"^FUSEBOX_METRICS_HOST=192\.0\.2\.1: .+: give an address of this host"):
        MetricsServer("192.0.2.1", 0, CollectorRegistry())


def test_a_client_that_says_nothing_keeps_nobody_waiting(metrics: Metrics) -> None:
    port = int(url_of(metrics).rpartition(":")[2].removesuffix("/metrics"))
    with socket.create_connection(("127.0.0.1", port)):
        assert number(scrape(url_of(metrics)), "fusebox_ready") == 0


def test_nothing_listens_any_more_in_the_end() -> None:
    server = MetricsServer("127.0.0.1", 0, CollectorRegistry())
    server.start()
    host, port = "127.0.0.1", int(server.url.rpartition(":")[2].removesuffix("/metrics"))
    server.stop()

    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((host, port))
    assert "metrics" not in {thread.name for thread in threading.enumerate()}


def test_run_with_a_taken_port_ends_at_once(metrics: Metrics, start: Start) -> None:
    port = url_of(metrics).rpartition(":")[2].removesuffix("/metrics")
    refused = start("--window-s", "20", FUSEBOX_METRICS_PORT=port)
    line = refused.wait_for("fusebox: ")
    refused.process.wait(30)

    assert line.startswith(f"fusebox: FUSEBOX_METRICS_PORT={port}: cannot listen on 127.0.0.1: ")
    assert refused.process.returncode == EXIT_BAD_CONFIG
    assert refused.lines == [line]
