"""Paper execution that opens passively: an opening order rests at the bid for a while instead of taking the offer.

It shows what a cheaper entry is worth: makers pay no fee and no spread, but fill only where the whole queue before them
is gone, which is where the price goes on against them. Exits take, as ever.
"""

from msgspec.structs import replace

from actors.execution import Working
from actors.execution_paper import PaperExecutionClient
from core.messages import Tick
from core.trading import lifecycle
from venues.paper.consumption import token_book

REST_S = 10.0
"""What has not filled by then is cancelled: the decision it came from is old."""
_UNTIL = "passive "


class PassivePaperClient(PaperExecutionClient):
    """Sends opening orders as post-only ones at the best bid of their token; see `PaperExecutionClient`."""

    def submit(self, working: Working) -> None:
        """Hand an opening order over at the bid; without a bid it ends unsent."""
        if working.intent.action != "OPEN":
            super().submit(working)
            return
        order, view = working.order, self._host.book(working.order.condition_id)
        bid = None if view is None else token_book(view, order.outcome).best_bid
        if bid is None:
            self._host.happened(order.id, lifecycle.Failed(self._now_ms(), "not sent: nobody bids"))
            return
        resting = replace(order, limit_price=min(bid, order.limit_price), order_type="GTC", post_only=True)
        key = f"{_UNTIL}{order.id}"
        self._host.context.timer(key, REST_S, Tick(key))
        super().submit(replace(working, order=resting))

    def receive(self, message: object) -> None:
        """Cancel an order that has rested long enough."""
        match message:
            case Tick(name=name) if name.startswith(_UNTIL):
                self._tell(self._broker.cancel(name.removeprefix(_UNTIL), self._now_ms()))
            case _:
                super().receive(message)

    def closed(self, working: Working) -> None:
        """Stop waiting."""
        self._host.context.cancel_timer(f"{_UNTIL}{working.order.id}")
        super().closed(working)
