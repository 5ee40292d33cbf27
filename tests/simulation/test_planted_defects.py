"""The simulation finds what it is for: each planted defect breaks the promise that names it."""

from collections.abc import Sequence

import msgspec
import pytest

from actors import addresses
from actors.portfolio_state import PortfolioState
from bench.simulate import main
from bench.simulation.chaos import CrashAt, KillAt, Quiet
from bench.simulation.database import Database
from bench.simulation.run import Plant, Result, Simulation
from bench.simulation.scenario import Scenario
from core.messages import OrderReported, OrderRequested, Persist, Persisted
from core.records import CheckpointRecord, FillRecord, Record
from core.runtime.actor import Actor
from core.runtime.address import Address
from core.runtime.context import Context
from core.runtime.faults import Crash, HandlerFault, Hang
from core.runtime.gate import GateCell
from core.runtime.mailbox import Mailbox
from core.runtime.message import Envelope
from core.trading.gate import GateLevel
from core.trading.money import MICRO

SCENARIO = Scenario(held=("BTC",))


def run(address: Address, plant: Plant, scenario: Scenario = SCENARIO) -> Result:
    return Simulation(scenario, plants={address: plant}).run()


class Wrapped(Actor):
    """An actor that does something wrong with what another one would have done right."""

    acknowledges = True

    def __init__(self, context: Context, inner: Actor) -> None:
        super().__init__(context)
        self.inner = inner

    def on_start(self) -> None:
        self.inner.on_start()

    def receive(self, message: object) -> object:
        return self.inner.receive(message)

    def on_stop(self) -> None:
        self.inner.on_stop()


class BooksTwice(Wrapped):
    """Books a fill that nobody reported beside each one that was."""

    def receive(self, message: object) -> object:
        if isinstance(message, OrderReported) and message.fills:
            twice = tuple(msgspec.structs.replace(f, trade_id=f"{f.trade_id}bis") for f in message.fills)
            message = msgspec.structs.replace(message, fills=(*message.fills, *twice))
        return self.inner.receive(message)


class BooksTooMuch(Wrapped):
    """Books every fill a cent cheaper than it was."""

    def receive(self, message: object) -> object:
        if isinstance(message, OrderReported) and message.fills:
            more = tuple(msgspec.structs.replace(f, price=f.price - 10_000) for f in message.fills)
            message = msgspec.structs.replace(message, fills=more)
        return self.inner.receive(message)


class LosesReports(Wrapped):
    """Does not hear that an order ended."""

    def receive(self, message: object) -> object:
        if isinstance(message, OrderReported) and message.order.closed_ms is not None:
            return None
        return self.inner.receive(message)


class IgnoresGate(Wrapped):
    """Shuts the gate after the portfolio has asked, and looks at an open one of its own when it submits."""

    def receive(self, message: object) -> object:
        if isinstance(message, OrderRequested):
            self.context.gate.hold("BTC", "shut by the test", GateLevel.CLOSED)
            self.inner.context = OpenGate(self.context)  # type: ignore[assignment]
        return self.inner.receive(message)


class OpenGate:
    """A context whose gate is open whatever the real one says."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self.gate = GateCell()

    def __getattr__(self, name: str) -> object:
        return getattr(self._context, name)


class SendsBeforeTheCommit(Wrapped):
    """Takes every request for committed."""

    def receive(self, message: object) -> object:
        result = self.inner.receive(message)
        if isinstance(message, OrderRequested):
            self.inner.receive(Persisted(message.order.id))
        return result


class ForgetsToSettle(Wrapped):
    """Does not hear who won."""

    def receive(self, message: object) -> object:
        return None if type(message).__name__ == "WinnerKnown" else self.inner.receive(message)


class WritesNoFills(Wrapped):
    """Leaves the fills out of what it writes."""

    def receive(self, message: object) -> object:
        if isinstance(message, Persist):
            rows = tuple(row for row in message.rows if not isinstance(row, FillRecord))
            message = msgspec.structs.replace(message, rows=rows)
        return self.inner.receive(message)


class OrdersTwice(Wrapped):
    """Makes two orders of one intent."""

    def receive(self, message: object) -> object:
        if isinstance(message, OrderRequested):
            again = msgspec.structs.replace(message.order, id=f"{message.order.id}bis")
            self.inner.receive(msgspec.structs.replace(message, order=again))
        return self.inner.receive(message)


class HandsOverTwice(Wrapped):
    """Reports a hand-over of each order again, a moment later."""

    def receive(self, message: object) -> object:
        if isinstance(message, OrderReported) and message.order.submitted_ms is not None:
            later = msgspec.structs.replace(message.order, submitted_ms=message.order.submitted_ms + 1)
            again = OrderReported(later, (), message.intent, message.market)
            self.context._system.send(addresses.PORTFOLIO, again, addresses.EXECUTOR, 1)  # type: ignore[attr-defined]
        return self.inner.receive(message)


class SellsTooMuch(Wrapped):
    """Sells twice what it was asked to."""

    def receive(self, message: object) -> object:
        if isinstance(message, OrderRequested) and message.order.side == "SELL":
            more = msgspec.structs.replace(message.order, shares=2 * message.order.shares)
            message = msgspec.structs.replace(message, order=more)
        return self.inner.receive(message)


class LosesCash(Wrapped):
    """Declares a dollar less than there is."""

    def __init__(self, context: Context, inner: Actor) -> None:
        super().__init__(context, inner)
        inner.context = PoorContext(context)  # type: ignore[assignment]


class PoorContext:
    """A context that takes a dollar out of every account that is saved."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def save(self, payload: bytes) -> int:
        state = msgspec.msgpack.decode(payload, type=PortfolioState)
        ledger = msgspec.structs.replace(state.ledger, cash_usd=state.ledger.cash_usd - MICRO)
        return self._context.save(msgspec.msgpack.encode(msgspec.structs.replace(state, ledger=ledger)))

    def __getattr__(self, name: str) -> object:
        return getattr(self._context, name)


class NeverStarts(Wrapped):
    """Fails at each start."""

    def on_start(self) -> None:
        raise ValueError("always")


@pytest.mark.parametrize(
    ("address", "plant", "promise"),
    [
        (addresses.EXECUTOR, OrdersTwice, "two live orders"),
        (addresses.PORTFOLIO, HandsOverTwice, "two live orders"),
        (addresses.EXECUTOR, SellsTooMuch, "inventory"),
        (addresses.PORTFOLIO, LosesCash, "cash identity"),
        (addresses.NOTIFIER, NeverStarts, "escalation: notifier: 6 crashes"),
        (
            addresses.flow_feed("BTC"),
            NeverStarts,
            "no message lost: ViewsRequested to feed.binance.BTC",
        ),
        (addresses.PORTFOLIO, BooksTwice, "unique fills"),
        (addresses.PORTFOLIO, BooksTooMuch, "the venue's ledger"),
        (addresses.PORTFOLIO, LosesReports, "not at rest"),
        (addresses.PORTFOLIO, ForgetsToSettle, "not at rest: settlement"),
        (addresses.EXECUTOR, IgnoresGate, "gate"),
        (addresses.EXECUTOR, SendsBeforeTheCommit, "durable intent"),
        (addresses.DB_WRITER, WritesNoFills, "rows"),
    ],
)
def test_a_planted_defect_is_found_by_its_name(address: Address, plant: Plant, promise: str) -> None:
    result = run(address, plant)

    assert result.broken is not None
    assert result.broken.startswith(promise)


def test_a_mailbox_that_forgets_at_a_crash_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def forget(mailbox: Mailbox) -> int:
        lost = mailbox.close()
        mailbox.open()
        return len(lost)

    monkeypatch.setattr(Mailbox, "drop_for_restart", forget)
    broken = [
        Simulation(SCENARIO, lambda _clock, at=at: CrashAt(at, Hang(), "portfolio")).run().broken  # type: ignore[misc]
        for at in range(300, 1_000, 50)
    ]

    assert any(each is not None and each.startswith("not at rest: no message lost") for each in broken), broken


class CrashOnMoney(Quiet):
    """Crashes the first reader of a money message."""

    def on_message(self, address: str, envelope: Envelope) -> HandlerFault | None:
        super().on_message(address, envelope)
        if self.done["crash"] or not isinstance(envelope.message, OrderReported):
            return None
        self.done["crash"] += 1
        return Crash("before")


def test_a_money_message_that_is_given_up_at_its_first_crash_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.runtime.cell.POISON_CRASHES", 1)
    broken = Simulation(SCENARIO, lambda _clock: CrashOnMoney()).run().broken

    assert broken is not None
    assert broken.startswith("no money message lost: OrderReported to portfolio")


def test_a_replaced_watchdog_that_still_holds_the_gate_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.runtime.incarnation.FencedGate", lambda cell, _alive: cell)
    broken = [
        Simulation(SCENARIO, lambda _clock, at=at: CrashAt(at, Hang(extra_ms=3_000), "watchdog")).run().broken  # type: ignore[misc]
        for at in range(40, 400, 30)
    ]

    assert any(each is not None and each.startswith("fencing") for each in broken)


class LosesACommit(Database):
    """Acknowledges the n-th transaction with a fill and keeps nothing of it."""

    def commit(self, rows: Sequence[Record], lease_epoch: int) -> None:
        if not any(isinstance(row, FillRecord) for row in rows):
            super().commit(rows, lease_epoch)


def test_a_database_that_loses_a_commit_is_found() -> None:
    result = Simulation(SCENARIO, database=LosesACommit()).run()

    assert result.broken is not None
    assert result.broken.startswith("durability")


class LosesFillsOnce(Wrapped):
    """Is done with the first fills before any checkpoint holds them."""

    def receive(self, message: object) -> object:
        if isinstance(message, OrderReported) and message.fills and self.context.incarnation == 1:
            return None
        return self.inner.receive(message)


def test_a_fill_that_is_acknowledged_and_not_booked_is_found() -> None:
    result = run(addresses.PORTFOLIO, LosesFillsOnce)

    assert result.broken is not None
    assert result.broken.startswith("not at rest")


def test_a_crash_is_not_a_defect_by_itself() -> None:
    chaos = CrashAt(500, Crash("before"))
    result = Simulation(SCENARIO, lambda _clock: chaos).run()

    assert chaos.victim
    assert result.broken is None


def test_a_killed_process_starts_from_what_is_committed() -> None:
    chaos = KillAt(800)
    simulation = Simulation(SCENARIO, lambda _clock: chaos)
    result = simulation.run()

    assert chaos.done["kill"] == 1
    assert simulation.database.lease_epoch == 2
    assert result.broken is None


def test_a_checkpoint_that_comes_back_older_is_found() -> None:
    class Forgetful(Database):
        """Hands out the generation before the newest."""

        def latest(self, name: str) -> CheckpointRecord | None:
            generations = self.tables.checkpoints.get(("actor", name), {})
            if self.lease_epoch < 2 or not generations:
                return super().latest(name)
            return generations[sorted(generations)[-2]]

    result = Simulation(SCENARIO, lambda _clock: KillAt(800), database=Forgetful()).run()

    assert result.broken is not None
    assert result.broken.startswith("restored checkpoint")


def test_a_failing_seed_makes_the_command_fail(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(seed: int) -> Result:
        return run(addresses.PORTFOLIO, BooksTwice, msgspec.structs.replace(SCENARIO, seed=seed))

    monkeypatch.setattr("bench.simulate.run_seed", broken)

    assert main(["--seeds", "1", "--start", "41", "--jobs", "1"]) == 1
    assert "seed 41: unique fills" in capsys.readouterr().out
