"""The moments of every live order on its way from a book frame to the wire, noted without changing what is run."""

import time
from collections.abc import Callable, Sequence
from functools import partial

import msgspec

from actors.write_jobs import Write
from core.messages import BookPublished, IntentProposed, OrderRequested, Persisted, Tick
from core.records import OrderRecord, Record
from core.runtime.actor import Actor
from core.runtime.context import Context
from core.runtime.system import ActorSystem
from core.trading.orders import Order
from venues.polymarket.connection import HandOver
from venues.polymarket.live_account import LiveAccount
from venues.polymarket.order_client import Accepted
from venues.polymarket.signing import OrderTerms, SignedOrder

NS_PER_MS = 1_000_000


class Path(msgspec.Struct):
    """One order's moments in unix nanoseconds; 0 until they come."""

    action: str = ""
    phase: str = ""
    frame: int = 0
    """The newest frame in the decided book was received."""
    seen: int = 0
    """The market actor had that book."""
    due: int = 0
    """The grid step at which it decided."""
    tick: int = 0
    """The market actor began with that step, and had decided (`decided`)."""
    decided: int = 0
    proposed: int = 0
    """The portfolio began with the wish, and had granted it (`reserved`)."""
    reserved: int = 0
    requested: int = 0
    """The executor began with the order."""
    sign: int = 0
    signed: int = 0
    persist: int = 0
    """The executor asked for the commit."""
    commit: int = 0
    """The transaction with the hash began, and was through (`committed`)."""
    committed: int = 0
    durable: int = 0
    """The executor had heard of the commit."""
    post: int = 0
    """The worker began to post."""
    wire: int = 0
    """The kernel had taken the order's bytes."""


class PathWatch:
    """Notes moments from every thread; `phase` labels the orders that are decided from now on."""

    def __init__(self) -> None:
        self.phase = "warm-up"
        self._by_intent: dict[str, Path] = {}
        self._by_order: dict[str, Path] = {}
        self._frames: dict[tuple[str, int], int] = {}
        self._seen: dict[tuple[str, int], int] = {}
        self._ticks: dict[tuple[str, int], tuple[int, int]] = {}

    def complete(self, phase: str) -> list[Path]:
        """Return the paths of a phase that reached the wire and began with a frame of this process's own."""
        return [path for path in list(self._by_order.values()) if path.phase == phase and path.wire and path.seen]

    def clock(self, condition_id: str) -> Callable[[], int]:
        """Return a market stream's clock (unix ms), which is read once for each frame, as that is received."""

        def now_ms() -> int:
            now_ns = time.time_ns()
            self._frames.setdefault((condition_id, now_ns // NS_PER_MS), now_ns)
            return now_ns // NS_PER_MS

        return now_ms

    def actors(self, system: ActorSystem) -> None:
        """Have market actors, portfolio and executor of an assembled system noted; before it is started."""
        for address, cell in system.cells.items():
            note = {"portfolio": self._portfolio, "executor": self._executor}.get(address.name)
            if address.name.startswith("market."):
                note = partial(self._market, address.name.removeprefix("market."))
            if note is not None:
                cell.spec = msgspec.structs.replace(cell.spec, make=_noted(cell.spec.make, note))

    def database(self, write: Write) -> Write:
        """Return the database's write, noted for orders that carry their hash."""

        def noted(rows: Sequence[Record]) -> None:
            began = time.time_ns()
            write(rows)
            ended = time.time_ns()
            for row in rows:
                path = self._by_order.get(row.id) if isinstance(row, OrderRecord) and row.order_hash else None
                if path is not None and not path.committed:
                    path.commit, path.committed = began, ended

        return noted

    def account(self, account: LiveAccount) -> None:
        """Have the account's signing and posting noted."""
        sign, post = account.sign, account.post

        def signing(order: Order, terms: OrderTerms) -> SignedOrder:
            path = self._by_order[order.id] = self._by_intent.get(order.intent_id, Path())
            path.sign = time.time_ns()
            signed = sign(order, terms)
            path.signed = time.time_ns()
            return signed

        def posting(signed: SignedOrder, hand_over: HandOver) -> Accepted:
            path = self._by_order.get(signed.order_id, Path())
            path.post = time.time_ns()

            def noting(write: Callable[[int], None]) -> int | None:
                def noted(sequence: int) -> None:
                    write(sequence)
                    path.wire = time.time_ns()

                return hand_over(noted)

            return post(signed, noting)

        account.sign, account.post = signing, posting  # type: ignore[method-assign]

    def _market(self, asset: str, message: object, began: int, ended: int) -> None:
        match message:
            case BookPublished(view=view):
                self._seen[view.condition_id, view.received_ms] = ended
            case Tick(name="grid", at_ms=at_ms):
                self._ticks[asset, at_ms] = (began, ended)

    def _portfolio(self, message: object, began: int, ended: int) -> None:
        if isinstance(message, IntentProposed):
            intent, view = message.intent, message.view
            key = (view.condition_id, view.received_ms)
            path = self._by_intent[intent.id] = Path(intent.action, self.phase)
            path.frame, path.seen = self._frames.get(key, 0), self._seen.get(key, 0)
            path.tick, path.decided = self._ticks.get((intent.asset, intent.decided_ms), (0, 0))
            path.due, path.proposed, path.reserved = intent.decided_ms * NS_PER_MS, began, ended

    def _executor(self, message: object, began: int, ended: int) -> None:
        match message:
            case OrderRequested(order=order) if order.id in self._by_order:
                self._by_order[order.id].requested, self._by_order[order.id].persist = began, ended
            case Persisted(key=order_id) if order_id in self._by_order:
                self._by_order[order_id].durable = self._by_order[order_id].durable or began


def _noted(make: Callable[[Context], Actor], note: Callable[[object, int, int], None]) -> Callable[[Context], Actor]:
    def made(context: Context) -> Actor:
        actor = make(context)
        receive = actor.receive

        def received(message: object) -> object:
            began = time.time_ns()
            result = receive(message)
            note(message, began, time.time_ns())
            return result

        actor.receive = received  # type: ignore[method-assign]
        return actor

    return made
