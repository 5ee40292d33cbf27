"""One trade's story: what it was decided from, what came of it, and what failed meanwhile; nothing of another trade."""

import json

import pytest

from cli.trace import named
from cli.trace_view import as_json, grids, lines, timeline
from cli.usage import UsageError
from core.market.features import FUSED_FEATURES
from core.records import HealthEventRecord
from storage.pool import Connection
from storage.queries import Session, open_session, venue_beside
from storage.trace_rows import Story, story
from storage.writer import write
from tests.reports.conftest import Fusebox
from tests.reports.made import BTC, T0, Order, at, history, trade


def of(connection: Connection, name: str) -> Story:
    return story(connection, named(connection, name))


def told(found: Story) -> list[tuple[float, str, str]]:
    return [((each.at_ms - T0) / 1000, each.of, each.text) for each in timeline(found)]


def test_a_trade_is_told_from_the_opening_to_the_end(connection: Connection, traded: Session) -> None:
    assert told(of(connection, "b.open.0")) == [
        (0, "market", "the window opens"),
        (9, "decision", "OPEN UP (signal): HOLD 10.0%, BUY 70.0%, SELL 20.0%, the touch at 0.5100"),
        (9.01, "order", "sent to paper: BUY 100.00 shares, FAK, limit 0.5300"),
        (10, "fill", "BUY 60.00 shares at 0.5100, fee 0.60 USD, taker, CONFIRMED"),
        (10, "fill", "BUY 40.00 shares at 0.5200, fee 0.40 USD, taker, CONFIRMED"),
        (10, "order", "BUY: FILLED"),
        (50, "market.BTC", "failed: ValueError: nan"),
        (60, "database", "stale: 1.2 s behind"),
        (99, "decision", "CLOSE UP (signal): HOLD 10.0%, BUY 70.0%, SELL 20.0%, the touch at 0.6000"),
        (99.01, "order", "sent to paper: SELL 100.00 shares, FAK, limit 0.5800"),
        (100, "fill", "SELL 100.00 shares at 0.5900, fee 1.00 USD, taker, CONFIRMED"),
        (100, "order", "SELL: FILLED"),
        (100, "trade", "closed by signal at 0.5900 a share, net +5.60 USD"),
        (101, "alert", "trade closed: BTC UP closed by signal (delivered)"),
        (900, "market", "the window closes; UP wins"),
    ]


def test_a_forced_exit_shows_its_steps(connection: Connection, traded: Session) -> None:
    steps = [each for each in told(of(connection, "e.open.1")) if each[0] >= 780]
    assert steps == [
        (780, "exit step", "CLOSE DOWN (T-2, touch)"),
        (780.01, "order", "sent to paper: SELL 100.00 shares, FAK, limit 0.1500"),
        (781, "order", "SELL: CANCELLED: nobody bids"),
        (789, "exit step", "CLOSE DOWN (T-2, deeper)"),
        (789.01, "order", "sent to paper: SELL 100.00 shares, FAK, limit 0.0800"),
        (790, "fill", "SELL 50.00 shares at 0.1000, fee 0.20 USD, taker, CONFIRMED"),
        (790, "order", "SELL: FILLED"),
        (790, "trade", "closed by T-2 at 0.1000 a share, net -11.70 USD"),
        (900, "market", "the window closes; UP wins"),
    ]


def test_an_exit_that_was_given_up_ends_with_the_settlement(connection: Connection, traded: Session) -> None:
    story_of = of(connection, "s.open.3")
    ends = [text for _, who, text in told(story_of) if who in ("exit SOL", "market", "trade")]
    assert ends[1].startswith("held to settlement: SOL UP 20.000000 shares of 0xs (T-2): the window ends")
    assert ends[2:] == ["the window closes; DOWN wins", "closed by settlement at 0.0000 a share, net -8.30 USD"]
    assert next(iter(as_json(story_of)["decision"]["features"])) == "returns_1m"


def test_the_head_names_market_and_decision(connection: Connection, traded: Session) -> None:
    times = "2026-04-20 23:30:00 UTC to 2026-04-20 23:45:00 UTC"
    assert lines(of(connection, "b.open.0")) == (
        "trade b.open.0 of session 1 (paper, demo)",
        "BTC UP: 100.00 shares 0.5140 -> 0.5900, closed by signal; PnL net +5.60 USD, fees 2.00",
        f"market btc-updown-15m-1776727800 (0xb): {times}, strike 100.5, winner UP, fee rate 0.07",
        "decision: HOLD 10.0%, BUY 70.0%, SELL 20.0% in market.BTC, incarnation 1",
    )
    features = next(iter(grids(of(connection, "b.open.0"))))
    cells = [cell for row in features.rows for cell in row if cell]
    assert [cell.split()[0] for cell in cells] == list(FUSED_FEATURES.names)
    assert "price +0.0000" in cells


def test_what_is_not_stored_is_said_not_to_be(connection: Connection, session: Session) -> None:
    write(connection, [trade("x.7", session.id, BTC, (1, 2), ("1", "0"))])
    found = of(connection, "x.7")
    assert lines(found)[2:] == ("market 0xb: not stored", "decision: not stored")
    assert [each.of for each in timeline(found)] == ["trade"]
    assert as_json(found)["decision"] is None


def test_two_trades_of_one_market_do_not_share_orders(connection: Connection, traded: Session) -> None:
    again = Order("b2.open", traded.id, BTC, "OPEN", 200, "0.5", ("10", "0.5", "0.1"))
    held = Order("b3.open", traded.id, BTC, "OPEN", 400, "0.5", ("10", "0.5", "0.1"))
    tried = Order("b3.exit", traded.id, BTC, "CLOSE", 410, "0.5", reason="T-2, touch")
    sold = Order("b2.close", traded.id, BTC, "CLOSE", 250, "0.5", ("10", "0.5", "0.1"))
    for order in (again, held, tried, sold):
        write(connection, order.rows)
    write(connection, [trade("b2.open.4", traded.id, BTC, (201, 251), ("-0.2", "0.2"))])
    assert [each.id for each in of(connection, "b.open.0").intents] == ["b.open", "b.close"]
    assert [each.id for each in of(connection, "b2.open.4").intents] == ["b2.open", "b2.close"]


def test_an_order_that_was_never_sent_and_one_that_has_not_ended(connection: Connection, traded: Session) -> None:
    connection.execute("UPDATE orders SET submitted_at = NULL WHERE id = 'e.exit1.o'")
    connection.execute("UPDATE orders SET closed_at = NULL, state = 'LIVE' WHERE id = 'e.exit2.o'")
    texts = [text for _, who, text in told(of(connection, "e.open.1")) if who == "order"]
    assert texts[2:] == [
        "never sent, SELL 100.00 shares, FAK, limit 0.1500: CANCELLED: nobody bids",
        "sent to paper: SELL 100.00 shares, FAK, limit 0.0800; LIVE, has not ended",
    ]


def test_paper_beside_live_shows_what_happened_to_the_process(connection: Connection) -> None:
    live = open_session(connection, "live", {}, venue="demo", new=False, now_ms=T0)
    paper = open_session(connection, "paper", {}, venue=venue_beside(live.id), new=False, now_ms=T0)
    write(connection, history(paper.id))
    write(connection, [HealthEventRecord(live.id, "gate", "changed", "reduce-only: heartbeat missed", at(70))])
    assert (70, "gate", "changed: reduce-only: heartbeat missed") in told(of(connection, "b.open.0"))


# -- by what a trade is called ----------------------------------------------------------------------------------------


def test_the_beginning_of_an_id_is_enough_where_only_one_begins_so(connection: Connection, traded: Session) -> None:
    assert named(connection, "b.o").id == "b.open.0"
    write(connection, [trade("b.open.07", traded.id, BTC, (300, 301), ("1", "0"))])
    assert named(connection, "b.open.0").id == "b.open.0"
    with pytest.raises(UsageError, match=r"^b is how several trades begin: b\.open\.07, b\.open\.0$"):
        named(connection, "b")


def test_with_no_trades_at_all_it_says_so(connection: Connection, session: Session) -> None:
    with pytest.raises(UsageError, match=r"^there is no trade 'b': no position was closed yet$"):
        named(connection, "b")


def test_from_a_shell_as_text_and_as_json(fusebox: Fusebox, traded: Session) -> None:
    shown, printed = fusebox("trace", "b.open"), fusebox("trace", "b.open", "--json")
    assert (shown.returncode, printed.returncode) == (0, 0), shown.stderr + printed.stderr
    assert ["23:31:40.000", "+91.000", "s", "trade", "closed"] in [row.split()[:5] for row in shown.stdout.splitlines()]
    plain = json.loads(printed.stdout)
    assert plain["schema"] == 1
    assert plain["trade"]["pnl_net_usd"] == "5.600000"
    assert [each["price"] for each in plain["fills"]] == ["0.510000", "0.520000", "0.590000"]
    assert plain["decision"]["action_probs"] == {"HOLD": 0.1, "BUY": 0.7, "SELL": 0.2}
    assert plain["timeline"][0] == {"at_ms": T0, "of": "market", "text": "the window opens"}
