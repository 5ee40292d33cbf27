"""One grep tells a trade: every step from the frame to the result carries the opening intent's id, and is told once."""

import msgspec
import pytest
from loguru import logger

from cli.following import Follower, log_step
from cli.log_lines import json_line
from cli.trade_story import Step, TradeStory
from core.messages import IntentProposed, OrderReported
from core.records import TradeRecord
from core.runtime.address import Address
from core.runtime.clock import VirtualClock
from tests.dual.builders import LIVE
from tests.monitoring.conftest import Followed

ANYBODY = Address("executor")


def about(followed: Followed, intent: str, account: str = "live") -> list[Step]:
    """Return the steps that a search for an intent's id finds, but for those that are for the metrics alone."""
    told = [step for step in followed.steps if step.account == account and step.stage != "proposed"]
    return [step for step in told if intent in str(step.fields)]


def entry_of(followed: Followed) -> str:
    trade = next(row for row in followed.rows if isinstance(row, TradeRecord) and row.session_id == LIVE)
    return trade.id.rpartition(".")[0]


def test_a_trade_is_told_from_its_frame_to_its_result(followed: Followed) -> None:
    followed.run_to(58)
    told = about(followed, entry_of(followed))

    opening = [step.stage for step in told if step.fields.get("action") == "OPEN"]
    closing = [step.stage for step in told if step.fields.get("action") == "CLOSE"]
    assert sorted(opening) == sorted(["decided", "sized", "committed", "sent", "filled", "ended"])
    assert sorted(closing) == sorted(["decided", "sized", "committed", "sent", "filled", "ended"])
    assert told[-1].stage == "closed"
    decided = told[0].fields
    assert decided["frame_received_ms"] == decided["frame_venue_ms"]
    assert 0 <= int(str(decided["decided_ms"])) - int(str(decided["frame_received_ms"])) <= 250
    assert int(str(decided["frame_epoch"])) > 0
    assert decided["condition_id"] == told[-1].fields["condition_id"]


def test_the_accounts_of_one_decision_are_told_apart(followed: Followed) -> None:
    followed.run_to(5)

    opened = [(step.account, step.fields["intent"]) for step in followed.steps if step.stage == "sized"]
    assert {account for account, _ in opened} == {"live", "paper"}
    assert len({intent for _, intent in opened}) == len(opened)


def test_what_is_delivered_or_written_again_is_told_once(followed: Followed) -> None:
    followed.run_to(58)
    before = len(followed.steps)
    last = {message.order.id: message for _, message in followed.heard if isinstance(message, OrderReported)}
    wishes = [message for _, message in followed.heard if isinstance(message, IntentProposed)]
    assert min(len(last), len(wishes)) >= 2

    for message in (*wishes, *last.values()):
        followed.follower.told(ANYBODY, message)
    followed.follower.wrote(followed.rows)
    followed.follower.drain()

    assert len(followed.steps) == before


def test_a_fill_that_is_undone_is_a_step_of_its_own(followed: Followed) -> None:
    followed.run_to(5)
    report = next(m for _, m in followed.heard if isinstance(m, OrderReported) and m.fills)
    undone = msgspec.structs.replace(report.fills[0], state="FAILED")
    followed.follower.told(ANYBODY, msgspec.structs.replace(report, fills=(undone,)))
    followed.follower.drain()

    last = followed.steps[-1]
    assert (last.stage, last.fields["state"], last.fields["first"]) == ("filled", "FAILED", False)


def test_a_step_is_a_debug_line_with_its_ids_and_times(followed: Followed) -> None:
    followed.run_to(5)
    lines: list[dict[str, object]] = []
    sink = logger.add(lambda said: lines.append(msgspec.json.decode(json_line(said.record))), level="DEBUG")
    try:
        for step in followed.steps:
            log_step(step)
    finally:
        logger.remove(sink)

    sent = next(line for line in lines if line["stage"] == "sent" and line["account"] == "live")
    assert sent["level"] == "DEBUG"
    assert sent["order"] == f"{sent['intent']}.o"
    assert sent["decision_to_hand_over_s"] == pytest.approx(0.0, abs=0.1)
    assert "proposed" not in {line["stage"] for line in lines}


def test_a_step_that_cannot_be_told_stops_nobody(followed: Followed) -> None:
    followed.run_to(58)
    trades = [row for row in followed.rows if isinstance(row, TradeRecord)]
    told: list[Step] = []

    def refuse(_step: Step) -> None:
        raise ValueError("no room")

    follower = Follower(TradeStory({}), VirtualClock(), refuse, told.append)
    lines: list[str] = []
    sink = logger.add(lambda said: lines.append(said.record["message"]), level="WARNING")
    follower.start()
    for trade in trades:
        follower.wrote((trade,))
    follower.stop()
    logger.remove(sink)

    assert lines == ["an order's step could not be told; trading is not concerned"] * len(trades)
    assert len(trades) == 2
