"""The watchdog's eye on what is held: forced exits by clock, price and order, each asked for until nothing is left."""

from actors import addresses
from actors.addresses import Account
from actors.feed_watch import FeedWatch
from core.messages import AwaitWinner, CancelRequested, ForcedExit, HeldByChoice, PositionPublished
from core.runtime.address import Address
from core.runtime.context import Context
from core.trading.forced_exits import ForcedExitRules, Held, exit_reason, held_by_choice
from core.trading.gate import GateLevel, level
from core.trading.lasting_holds import is_flattened

EXIT_AGAIN_S = 2.0
SETTLE_AGAIN_S = 60.0

Place = tuple[Address, str]
"""A portfolio and a market: what one portfolio holds there is no other's."""


class ExitWatch:
    """Knows what every portfolio holds, whatever else is dead, and asks for its end."""

    def __init__(
        self, context: Context, accounts: tuple[Account, ...], rules: ForcedExitRules, feeds: FeedWatch
    ) -> None:
        self._context = context
        self._executors = {account.portfolio: account.executor for account in accounts}
        self._rules = rules
        self._feeds = feeds
        self._positions: dict[Place, PositionPublished] = {}
        self._busy: dict[Place, str] = {}
        self._asked: dict[Place, int] = {}
        self._recalled: dict[Place, int] = {}
        self._overdue: set[Place] = set()

    def hear(self, position: PositionPublished) -> None:
        """Note what a portfolio holds in a market."""
        place = position.portfolio, position.condition_id
        if position.busy:
            self._busy[place] = position.asset
        else:
            self._busy.pop(place, None)
            self._recalled.pop(place, None)
        if position.side is not None:
            self._positions[place] = position
            return
        for known in (self._positions, self._asked):
            known.pop(place, None)
        self._overdue.discard(place)

    def check(self, retired: frozenset[str], waited_s: dict[str, float]) -> list[str]:
        """Ask for the exits that are due; return a line for each settlement that has become overdue.

        `waited_s` is for how long each asset has been watched.
        """
        now_ms = self._context.clock.now_ms()
        overdue = []
        for place, position in self._positions.items():
            held = self._held(position, waited_s.get(position.asset, 0.0))
            if held is None:
                continue
            if held.window.seconds_left(now_ms) <= 0:
                overdue += self._await(place, position, held, now_ms)
                continue
            flattened = is_flattened(self._context.gate.state, position.asset)
            retires = position.asset in retired
            reason = exit_reason(held, self._rules, now_ms, retired=retires, flattened=flattened)
            if reason is not None:
                self._ask(place, ForcedExit(position.asset, position.condition_id, reason), now_ms)
            elif held_by_choice(held, self._rules, now_ms):
                self._ask(place, HeldByChoice(position.asset, position.condition_id), now_ms)
        self._recall(now_ms)
        return overdue

    def _held(self, position: PositionPublished, waited_s: float) -> Held | None:
        market, kept = position.market, position.position
        if market is None or kept is None:
            return None
        return Held(
            window=market.window,
            opened_ms=kept.opened_ms,
            shares=kept.shares,
            cost_usd=kept.cost_usd,
            bid=self._feeds.bid(position.asset, position.condition_id, up=kept.side == "UP"),
            book_age_s=self._feeds.book_age_s(position.asset, waited_s),
        )

    def _ask(self, place: Place, wish: ForcedExit | HeldByChoice, now_ms: int) -> None:
        """Tell a portfolio what is to become of a position, again and again: one wish may be lost with its reader."""
        asked_ms = self._asked.get(place)
        if asked_ms is None or abs(now_ms - asked_ms) >= EXIT_AGAIN_S * 1000:
            self._asked[place] = now_ms
            self._context.tell(place[0], wish)

    def _await(self, place: Place, position: PositionPublished, held: Held, now_ms: int) -> list[str]:
        """See to it that somebody asks who won; one window after the close that is overdue."""
        late_s = -held.window.seconds_left(now_ms)
        if late_s < held.window.length_s:
            return []
        asked_ms = self._asked.get(place, 0)
        if abs(now_ms - asked_ms) >= SETTLE_AGAIN_S * 1000:
            self._asked[place] = now_ms
            window = held.window
            wish = AwaitWinner(position.asset, position.condition_id, window.slug, window.closes_at_s)
            self._context.tell(addresses.DISCOVERY, wish)
        if place in self._overdue:
            return []
        self._overdue.add(place)
        return [f"{held.window.slug} closed {late_s:.0f} s ago and has no winner yet; what is held waits for it"]

    def _recall(self, now_ms: int) -> None:
        """Have taken back what rests in markets that are closed; asked again until it is gone."""
        for place, asset in self._busy.items():
            portfolio, condition_id = place
            if level(self._context.gate.state, asset) is not GateLevel.CLOSED:
                self._recalled.pop(place, None)
            elif abs(now_ms - self._recalled.get(place, 0)) >= EXIT_AGAIN_S * 1000:
                self._recalled[place] = now_ms
                self._context.tell(self._executors[portfolio], CancelRequested(condition_id))
