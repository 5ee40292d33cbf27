"""One window of the real length in which something in particular fails: a book, the market actor, every exit."""

from collections.abc import Callable, Iterator
from typing import TypeVar

import msgspec

from actors import addresses
from actors.execution_paper import PaperExecutionClient
from bench.safety.windows import SafetySimulation, rules_for
from bench.simulation.chaos import Quiet
from bench.simulation.scenario import FIRST_OPENS_S, SESSION_ID, Scenario
from bench.simulation.venue import Schedule, _snapshots
from bench.simulation.watched import WatchedRuntime
from cli.observing import Observer
from cli.wiring import Services, Trading, Venues
from core.errors import TransientError
from core.market.events import BookSnapshot
from core.market.market import Market
from core.market.views import BookView
from core.records import AlertRecord, HealthEventRecord, OrderRecord, TradeRecord
from core.runtime.faults import Crash, HandlerFault, SkewedClock
from core.runtime.message import Envelope
from core.runtime.supervision import DeadLetter, SystemEvent
from core.trading.gate import GateState
from core.trading.lifecycle import Rejected
from core.trading.money import MICRO
from venues.paper.broker import VENUE, BrokerReport, PaperBroker, PaperState

WINDOW_S = 900
CLOSES_S = FIRST_OPENS_S + WINDOW_S
BTC = f"BTC.{FIRST_OPENS_S}"
SCENARIO = Scenario(seed=1, assets=("BTC", "ETH"), windows=1, window_s=WINDOW_S, trade_usd=100 * MICRO)
"""The table's policy buys DOWN between 378 and 306 s before the close, and never sells it."""

T = TypeVar("T")
Fetch = Callable[["Failing", Market], tuple[BookSnapshot, BookSnapshot]]


class Span(msgspec.Struct, frozen=True):
    """A time in seconds before the close; the larger number comes first."""

    begins_s: float
    ends_s: float = -60.0

    def holds(self, at_ms: int) -> bool:
        """Return whether a moment (unix milliseconds) lies in it."""
        return self.begins_s >= CLOSES_S - at_ms / 1000 > self.ends_s


NEVER = Span(-1e9, -1e9)


class Failing(SafetySimulation):
    """What fails, and when: BTC's book (with `all_sockets` new connections too), every exit, the market actor."""

    def __init__(
        self,
        *,
        frozen: Span = NEVER,
        all_sockets: bool = True,
        book: Fetch | None = None,
        refused: Span = NEVER,
        dying: Span = NEVER,
        restarted: Span = NEVER,
    ) -> None:
        self._frozen, self._all_sockets, self._book = frozen, all_sockets, book
        self._refused, self._restarted, self._dies = refused, restarted, dying is not NEVER
        self.retired: list[str] = []
        super().__init__(SCENARIO, chaos=lambda clock: Dying(clock, dying), rules=rules_for(SCENARIO, "default"))

    # -- what fails ---------------------------------------------------------------------------------------------

    def _venues(self) -> Venues:
        venues, book = super()._venues(), self._book
        fetch = None if book is None else lambda market: book(self, market)
        return msgspec.structs.replace(venues, book_stream=self._stream, book=fetch)

    def _stream(self, market: Market) -> "Schedule | Frozen":
        stream = self.venue.book_stream(market)
        return Frozen(stream, self._frozen, self._all_sockets) if market.window.asset == "BTC" else stream

    def _before_start(self, runtime: WatchedRuntime) -> None:
        """Have written down what the runtime and the gate announce, as a run does."""
        if self._dies:
            runtime.given_up.add("market.BTC")
        heard = runtime.gate.observer
        observer = Observer(runtime, SESSION_ID)  # type: ignore[arg-type]  # it needs no threads

        def both(state: GateState) -> None:
            if heard is not None:
                heard(state)
            observer._gate_changed(state)

        runtime.gate.observer = both

    def _services(self, epoch: int) -> Services:
        def client(saved: bytes, of_this_process: bool) -> PaperExecutionClient:  # noqa: FBT001
            return Refusing(self._refused, saved, of_this_process=of_this_process)

        return msgspec.structs.replace(super()._services(epoch), trading=Trading(VENUE, client))

    def _run_until(self, until_ms: int) -> None:
        while (now_ms := self.clock.true_ms()) < until_ms:
            super()._run_until(min(until_ms, now_ms + 1_000))
            if self._restarted.holds(self.clock.true_ms()):
                self.runtime.restart(addresses.market("BTC"))

    def _announced(self, event: SystemEvent | DeadLetter) -> None:
        if isinstance(event, SystemEvent) and event.kind == "retired":
            self.retired.append(event.address)
            return
        super()._announced(event)

    # -- what is left of it -------------------------------------------------------------------------------------

    def now_at(self, market: Market) -> tuple[BookSnapshot, BookSnapshot]:
        """Return the venue's books of the moment."""
        return _snapshots(market, self.venue._quotes(market)[self._step(market)], self.clock.now_ms())

    def _step(self, market: Market) -> int:
        books = self.venue._quotes(market)
        first_ms = market.window.closes_at_s * 1000 - (len(books) - 1) * 500
        return min(len(books) - 1, max(0, (self.clock.true_ms() - first_ms) // 500))

    def health(self, subject: str) -> list[tuple[str, str]]:
        """Return status and detail of what was written down about a subject, in order."""
        notes = sorted((row for row in self.notes(HealthEventRecord)), key=lambda row: row.at_ms)
        return [(row.status, row.detail) for row in notes if row.subject == subject]

    def alerts(self, *words: str) -> list[tuple[str, str]]:
        """Return kind and text of the alerts with all these words in their text, each once, in order."""
        rows = sorted(self.notes(AlertRecord), key=lambda row: row.at_ms)
        told = dict.fromkeys((row.kind, row.text) for row in rows if all(word in row.text for word in words))
        return list(told)

    def notes(self, kind: type[T]) -> list[T]:
        """Return the committed rows of a kind."""
        return [row for row in self.database.tables.notes if isinstance(row, kind)]

    def trade(self, asset: str = "BTC") -> TradeRecord:
        """Return an asset's one round trip on DOWN."""
        (trade,) = [row for row in self.database.tables.trades.values() if row.asset == asset and row.side == "DOWN"]
        return trade

    def sells(self, state: str) -> list[OrderRecord]:
        """Return BTC's orders to sell DOWN that ended so."""
        orders = self.database.tables.orders.values()
        return [
            each for each in orders if each.token_id == f"{BTC}.down" and each.side == "SELL" and each.state == state
        ]

    def left_s(self, at_ms: int) -> float:
        """Return how many seconds before the close a moment is."""
        return CLOSES_S - at_ms / 1000


class Frozen:
    """A book stream that says nothing for a time; one that is opened meanwhile may say something."""

    def __init__(self, stream: Schedule, span: Span, every: bool) -> None:  # noqa: FBT001
        self._stream, self._span, self._every = stream, span, every

    def items(self, from_ms: int) -> Iterator[tuple[int, object]]:
        """Yield what the stream has to say outside of that time."""
        for at_ms, item in self._stream.items(from_ms):
            spared = not self._every and self._span.holds(from_ms)
            if spared or not self._span.holds(at_ms):
                yield at_ms, item


class Dying(Quiet):
    """Crashes BTC's market actor at every message for a time."""

    def __init__(self, clock: SkewedClock, span: Span) -> None:
        super().__init__()
        self._clock, self._span = clock, span

    def on_message(self, address: str, envelope: Envelope) -> HandlerFault | None:
        super().on_message(address, envelope)
        if address == "market.BTC" and self._span.holds(self._clock.true_ms()):
            self.done["crash"] += 1
            return Crash("before")
        return None


class RefusingBroker(PaperBroker):
    """Refuses every sell that arrives in a time."""

    def __init__(self, state: PaperState, span: Span) -> None:
        super().__init__(latency_ms=50, max_book_age_ms=30_000, state=state)
        self._span = span

    def arrive(self, order_id: str, book_view: BookView | None, now_ms: int) -> list[BrokerReport]:
        paper = self.state.orders.get(order_id)
        if paper is not None and paper.order.side == "SELL" and self._span.holds(now_ms):
            return self._close(paper, Rejected(now_ms, "the venue refuses every sell"))
        return super().arrive(order_id, book_view, now_ms)


class Refusing(PaperExecutionClient):
    """The paper client on a broker that refuses sells."""

    def __init__(self, span: Span, saved: bytes, *, of_this_process: bool) -> None:
        super().__init__(50, 30_000, saved, of_this_process=of_this_process)
        self._broker = RefusingBroker(self._broker.state, span)


def unavailable(_failing: Failing, _market: Market) -> tuple[BookSnapshot, BookSnapshot]:
    """Answer nothing: the venue's own book is frozen as well."""
    raise TransientError("the venue's book does not answer")


def answering(failing: Failing, market: Market) -> tuple[BookSnapshot, BookSnapshot]:
    """Answer with the venue's books of the moment."""
    return failing.now_at(market)
