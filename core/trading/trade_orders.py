"""Which orders a round trip is made of: by its entry's id, by its fills, and for unfilled exits by what was held."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

from core.records import TradeRecord
from core.trading.slippage import Execution

Held = tuple[int, str, str]


def entry_intent(trade_id: str) -> str:
    """Return the id of the intent that opened a round trip: its own id without the number at the end."""
    return trade_id.rpartition(".")[0]


def orders_of_trades(
    trades: Sequence[TradeRecord], executions: Iterable[Execution]
) -> dict[str, tuple[Execution, ...]]:
    """Return each trade's orders by its id, in the order of decision; an opening that never filled belongs to none.

    Fills carry the same clock as a trade's beginning and end. An exit without a fill belongs to the position that the
    last filled opening before it had made, which may be one that is still held.
    """
    places: dict[Held, list[TradeRecord]] = defaultdict(list)
    for trade in trades:
        places[trade.session_id, trade.condition_id, trade.side].append(trade)
    found: dict[str, list[Execution]] = {trade.id: [] for trade in trades}
    holding: dict[Held, str | None] = {}
    for each in sorted(executions, key=lambda each: (each.decided_ms, each.action != "OPEN", each.order_id)):
        place = (each.session_id, each.condition_id, each.side)
        if each.filled_shares:
            trade_id = _filled_in(places.get(place, ()), each)
            if each.action == "OPEN":
                holding[place] = trade_id
        else:
            trade_id = None if each.action == "OPEN" else holding.get(place)
        if trade_id is not None:
            found[trade_id].append(each)
    return {trade_id: tuple(orders) for trade_id, orders in found.items()}


def _filled_in(trades: Sequence[TradeRecord], each: Execution) -> str | None:
    for trade in trades:
        if entry_intent(trade.id) == each.intent_id:
            return trade.id
    first, last = each.first_fill_ms, each.last_fill_ms
    if first is None or last is None:
        return None
    fitting = [trade for trade in trades if trade.opened_at_ms <= first and last <= trade.closed_at_ms]
    if not fitting:
        return None
    pick = max if each.action == "OPEN" else min  # where one ends in the millisecond in which the next begins
    return pick(fitting, key=lambda trade: (trade.opened_at_ms, trade.closed_at_ms)).id
