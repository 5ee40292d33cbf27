"""Which closed orders a new process has to ask about: those of whose fills one may still be undone."""

from msgspec.structs import replace

from actors.account import unconfirmed
from core.records import FillRecord, OrderRecord, Record
from core.trading.orders import OrderState
from storage.account_rows import UnconfirmedRows, final_fills, unconfirmed_rows
from storage.pool import Connection
from storage.queries import Session
from storage.writer import write


def test_a_closed_order_with_a_provisional_fill_is_told_until_the_fill_is_final(
    connection: Connection, session: Session, records: list[Record]
) -> None:
    order = next(row for row in records if isinstance(row, OrderRecord))
    fill = next(row for row in records if isinstance(row, FillRecord))
    write(connection, records)
    assert (
        unconfirmed_rows(connection, session.id) == UnconfirmedRows()
    )  # an open order is the portfolio's to ask about

    write(connection, [replace(order, state="FILLED", closed_at_ms=fill.filled_at_ms)])
    (working,) = unconfirmed(unconfirmed_rows(connection, session.id))
    assert (working.order.id, working.order.order_hash, working.order.state) == ("o1", "0xh1", OrderState.FILLED)
    assert [(each.id, each.state) for each in working.order.fills] == [(fill.id, "MATCHED")]
    assert (working.order.filled_shares, working.order.token_id) == (fill.shares, order.token_id)
    assert (working.intent.id, working.market.condition_id) == (order.intent_id, "0xc0")
    assert unconfirmed_rows(connection, session.id + 1) == UnconfirmedRows()
    assert final_fills(connection, session.id, fill.filled_at_ms) == frozenset()

    write(connection, [replace(fill, state="CONFIRMED")])
    assert unconfirmed_rows(connection, session.id) == UnconfirmedRows()
    assert final_fills(connection, session.id, fill.filled_at_ms) == {("t1", "0xh1")}
    assert final_fills(connection, session.id, fill.filled_at_ms + 1) == frozenset()
    assert final_fills(connection, session.id + 1, fill.filled_at_ms) == frozenset()
