"""The divergence report: its numbers are those of the rows."""

import pytest

from cli.divergence import Divergence, Execution, SameDecisions, divergence, lines
from core.market.market import Side
from core.records import FillRecord, IntentRecord, OrderRecord, Record, TradeRecord
from core.trading.money import micros
from storage.lease import Lease
from storage.pool import Connection
from storage.queries import Session
from storage.writer import write
from tests.dual.conftest import T0


class Rows:
    """Writes one session's orders: each of its own intent, decided at a second of the first window."""

    def __init__(self, connection: Connection, session_id: int, epoch: int) -> None:
        self.connection = connection
        self.session_id = session_id
        self.epoch = epoch

    def order(
        self,
        second: int,
        *fills: tuple[str, int, str],
        action: str = "OPEN",
        shares: int = 10,
        reason: str = "signal",
        state: str = "FILLED",
        closed: bool = True,
        failed: bool = False,
        side: Side = "UP",
    ) -> str:
        """Write an order with its fills (price, shares, fee); return the intent's id."""
        name = f"{self.session_id}.BTC.{second}"
        at_ms = T0 + second * 1000
        kind = "OPEN" if action == "OPEN" else "CLOSE"
        rows: list[Record] = [
            IntentRecord(name, self.session_id, "BTC", "0xc", side, kind, at_ms, reason, self.epoch, 1, (), ()),  # type: ignore[arg-type]
            OrderRecord(
                f"{name}.o", name, "v", None, "FAK", "BUY" if kind == "OPEN" else "SELL", "t", micros("0.5"),
                micros(shares), state, at_ms, at_ms + 9 if closed else None, None,
            ),
        ]  # fmt: skip
        for number, (price, size, fee) in enumerate(fills):
            rows.append(
                FillRecord(
                    f"{name}.f{number}", f"{name}.o", "v", f"{name}.{number}", "h", micros(price), micros(size),
                    micros(fee), "TAKER", "FAILED" if failed else "CONFIRMED", at_ms + 5,
                )
            )  # fmt: skip
        write(self.connection, rows)
        return name

    def trade(self, intent_id: str, pnl: str, fees: str = "0.1", serial: int = 1) -> None:
        """Write the round trip that an intent opened."""
        row = TradeRecord(
            f"{intent_id}.{serial}", self.session_id, "BTC", "0xc", "UP", T0, T0 + 9, micros(10), micros("0.5"),
            micros("0.6"), micros(fees), micros(pnl), "signal", force_closed=False, force_close_reason=None,
        )  # fmt: skip
        write(self.connection, [row])


@pytest.fixture
def of_live(connection: Connection, live: Session, lease: Lease) -> Rows:
    return Rows(connection, live.id, lease.epoch)


@pytest.fixture
def of_paper(connection: Connection, paper: Session, lease: Lease) -> Rows:
    return Rows(connection, paper.id, lease.epoch)


@pytest.fixture
def found(connection: Connection, of_live: Rows, of_paper: Rows) -> Divergence:
    """Return what is found of: two openings of both, one only paper's, a closing of each that differs in price."""
    one, two = of_live.order(1, ("0.50", 4, "0.04"), ("0.52", 6, "0.06")), of_live.order(2, state="CANCELLED")
    of_live.order(3, ("0.60", 10, "0.2"), action="CLOSE")
    of_live.order(4, ("0.30", 10, "0.1"), action="CLOSE", reason="T-2")
    of_live.trade(one, "0.7")
    assert two
    first, second = of_paper.order(1, ("0.50", 10, "0.05")), of_paper.order(2, ("0.40", 10, "0.15"))
    of_paper.order(3, ("0.61", 10, "0.2"), action="CLOSE")
    of_paper.order(5, ("0.45", 5, "0.1"))
    of_paper.trade(first, "0.85")
    of_paper.trade(second, "-0.2")
    return divergence(connection, of_live.session_id, of_paper.session_id)


def test_each_session_shows_what_became_of_its_orders(found: Divergence) -> None:
    assert found.live.opening == Execution(2, 1, "20.000000", "10.000000", "0.512000", "0.010000")
    assert found.live.closing == Execution(2, 2, "20.000000", "20.000000", "0.450000", "0.015000")
    assert found.paper.opening == Execution(3, 3, "30.000000", "25.000000", "0.450000", "0.012000")
    assert (found.live.trades, found.live.pnl_net_usd, found.live.fees_usd) == (1, "0.700000", "0.100000")
    assert (found.paper.trades, found.paper.pnl_net_usd, found.paper.fees_usd) == (2, "0.650000", "0.200000")


def test_orders_of_the_same_decision_are_compared_with_each_other(found: Divergence) -> None:
    assert found.same == SameDecisions(
        orders=3,
        only_live=0,
        only_paper=1,
        both_filled=2,
        price_worse="0.011000",  # it paid 0.012 more to open, and got 0.01 less for closing
        fee_more="0.002500",
        trades=1,
        live_pnl_net_usd="0.700000",
        paper_pnl_net_usd="0.850000",
    )


def test_it_is_told_in_five_lines(found: Divergence) -> None:
    head, opening, closing, same, results = lines(found)
    assert head == f"live session {found.live.session}, paper session {found.paper.session} beside it"
    assert opening == (
        "opening: live 1 of 2 orders filled (50.0 % of the shares) at 0.5120, fee 0.0100; "
        "paper 3 of 3 orders filled (83.3 % of the shares) at 0.4500, fee 0.0120"
    )
    assert closing.startswith("closing: live 2 of 2 orders filled")
    assert same == (
        "same decisions: 3 orders of both, 0 only live, 1 only paper; where both filled (2) live's price was "
        "0.0110 a share worse, its fee 0.0025 a share higher"
    )
    assert results == (
        "PnL net: live +0.70 USD of 1 trades, paper +0.65 USD of 2; round trips of both (1): live +0.70, paper +0.85"
    )


def test_before_anything_happened_it_says_so(connection: Connection, live: Session, paper: Session) -> None:
    empty = divergence(connection, live.id, paper.id)
    assert lines(empty)[1:] == [
        "opening: live no orders; paper no orders",
        "closing: live no orders; paper no orders",
        "same decisions: 0 orders of both, 0 only live, 0 only paper",
        "PnL net: live +0.00 USD of 0 trades, paper +0.00 USD of 0",
    ]


def test_orders_under_way_and_fills_that_failed_do_not_count(
    connection: Connection, of_live: Rows, of_paper: Rows
) -> None:
    of_live.order(1, ("0.50", 10, "0.1"), failed=True, state="FAILED")
    of_live.order(2, ("0.50", 5, "0.1"), closed=False, state="LIVE")
    found = divergence(connection, of_live.session_id, of_paper.session_id)
    assert found.live.opening == Execution(1, 0, "10.000000", "0.000000", None, None)


def test_what_live_did_while_paper_did_not_run_does_not_count(
    connection: Connection, of_live: Rows, of_paper: Rows
) -> None:
    alone = Rows(connection, of_live.session_id, of_live.epoch + 1)
    alone.trade(alone.order(1, ("0.50", 10, "0.1")), "-3")
    of_live.trade(of_live.order(2, ("0.50", 10, "0.1")), "1")
    found = divergence(connection, of_live.session_id, of_paper.session_id)
    assert (found.live.opening.orders, found.live.trades, found.live.pnl_net_usd) == (1, 1, "1.000000")


def test_a_decision_on_the_other_side_is_not_the_same(connection: Connection, of_live: Rows, of_paper: Rows) -> None:
    of_live.order(1, ("0.50", 10, "0.1"))
    of_paper.order(1, ("0.50", 10, "0.1"), side="DOWN")
    found = divergence(connection, of_live.session_id, of_paper.session_id).same
    assert (found.orders, found.only_live, found.only_paper) == (0, 1, 1)
