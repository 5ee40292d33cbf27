"""What `halt`, `resume` and `flatten` do to the running system: the gate first, then what is stored."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec

from actors import addresses
from actors.portfolio_state import PortfolioState
from cli.control import Handler
from cli.gate_keeper import GateKeeper
from cli.hold_lines import hold_line, word
from core.alerts.kinds import GATE
from core.errors import RejectedError
from core.messages import Alert, Persist
from core.records import HealthEventRecord
from core.runtime.threaded import ThreadedRuntime
from core.trading.gate import GateLevel, GateState, Hold, level
from core.trading.lasting_holds import flattened, halted, is_flattened, lasting, resumed, told
from core.trading.money import decimal
from core.trading.positions import Position
from storage.pool import Connection

OPERATORS = frozenset(("halt", "flatten", "resume"))
"""Commands that an alert is named by."""


class GateCommands:
    """Carries an operator's commands out in the control thread, and tells what came by other ways.

    Args:
        system: the running system.
        keeper: what outlasts the process.
        known: every asset that could be traded.
        session_id: whose health events they are.
    """

    def __init__(self, system: ThreadedRuntime, keeper: GateKeeper, known: tuple[str, ...], session_id: int) -> None:
        self._system = system
        self._keeper = keeper
        self._known = known
        self._session_id = session_id

    def handlers(self) -> dict[str, Handler]:
        """Return what each command does."""
        return {"halt": self.halt, "resume": self.resume, "flatten": self.flatten}

    def halt(self, args: Mapping[str, Any], connection: Connection) -> Mapping[str, Any]:
        """Close the gate: nothing is opened, nothing is sold, what rests is cancelled."""
        detail, by, at_ms = self._author(args)
        return self._do(f"halt{_because(detail)} by {by}", lambda s: halted(s, detail, by, at_ms), connection)

    def flatten(self, args: Mapping[str, Any], connection: Connection) -> Mapping[str, Any]:
        """Have what is held in one asset, or in all, sold; nothing is opened there.

        Raises:
            RejectedError: there is no such asset.
        """
        asset = str(args.get("asset", "")).upper()
        if asset and asset not in self._known:
            raise RejectedError(f"there is no asset {asset!r}: choose from {', '.join(self._known)}")
        _, by, at_ms = self._author(args)
        done = self._do(
            f"flatten {asset or 'all'} by {by}", lambda s: flattened(s, asset, by, at_ms), connection, asset
        )
        shut = [hold for hold in self._system.gate.state.holds if hold.level_in(asset) is GateLevel.CLOSED]
        return {**done, "asset": asset, "kept_closed_by": [told(hold) for hold in shut]}

    def resume(self, args: Mapping[str, Any], connection: Connection) -> Mapping[str, Any]:
        """Lift what only a person lifts; holds that end with their cause remain until it is gone.

        Raises:
            RejectedError: no reason was given, or there is nothing to lift.
        """
        detail, by, _ = self._author(args)
        if not detail.strip():
            raise RejectedError("resume needs a reason: `resume --reason TEXT`")
        before = self._system.gate.state
        if not lasting(before):
            rest = "; ".join(told(hold) for hold in before.holds) or "the gate is open"
            raise RejectedError(f"nothing was halted or tripped: {rest}")
        done = self._do(f"resume ({detail}) by {by}", resumed, connection)
        return {**done, "lifted": _lines(lasting(before)), "remaining": _lines(self._system.gate.state.holds)}

    def audit(self, what: str, before: GateState, after: GateState) -> None:
        """Write down, log and tell that the gate was changed by hand: how it was, how it is."""
        detail = f"{what}: {_said(before)} -> {_said(after)}"
        row = HealthEventRecord(self._session_id, "gate", "operator", detail, self._system.clock.now_ms())
        self._system.tell(addresses.DB_WRITER, Persist((row,)))
        command = next((word for word in what.split() if word in OPERATORS), GATE)  # the file may tell sooner
        self._system.tell(addresses.NOTIFIER, Alert(command, detail))

    def _author(self, args: Mapping[str, Any]) -> tuple[str, str, int]:
        at_ms = args.get("at_ms")
        when_ms = at_ms if isinstance(at_ms, int) else self._system.clock.now_ms()
        return str(args.get("reason", "")), str(args.get("by", "")) or "an operator", when_ms

    def _do(
        self, what: str, rule: Callable[[GateState], GateState], connection: Connection, asset: str = ""
    ) -> dict[str, Any]:
        before, after, late = self._keeper.change(rule, connection)
        if before != after:
            self.audit(what, before, after)
        return {
            "before": word(level(before, asset)),
            "gate": word(self._system.gate.level(asset)),
            "changed": before != after,
            "holds": _lines(self._system.gate.state.holds),
            "held": list(self._held()),
            "late": late,
        }

    def _held(self) -> Iterator[dict[str, str]]:
        """Yield what is held, and what keeps it from being sold."""
        for account in (addresses.PORTFOLIO, addresses.PAPER_PORTFOLIO):
            cell = self._system.cells.get(account)
            if cell is None or cell.saved is None:
                continue
            state = msgspec.msgpack.decode(cell.saved, type=PortfolioState)
            for position in state.ledger.positions.values():
                if not position.shares:
                    continue
                yield {
                    "account": account.name,
                    "asset": position.asset,
                    "side": position.side,
                    "shares": str(decimal(position.shares)),
                    "cost_usd": str(decimal(position.cost_usd)),
                    "remark": self._remark(state, position),
                }

    def _remark(self, state: PortfolioState, position: Position) -> str:
        market = state.markets.get(position.condition_id)
        if market is None:
            return "its market is not listed now: it settles"
        if market.window.seconds_left(self._system.clock.now_ms()) <= 0:
            return "its window is over: it settles"
        if position.shares < market.min_order_shares:
            return f"below the minimum of {decimal(market.min_order_shares)} shares: it is held to settlement"
        if self._system.gate.level(position.asset) is GateLevel.CLOSED:
            return "held: the gate is closed"
        flat = is_flattened(self._system.gate.state, position.asset)
        return "its exit is asked for until it is gone" if flat else ""


def _because(detail: str) -> str:
    return f" ({detail})" if detail else ""


def _said(state: GateState) -> str:
    """Return a gate's value for the record: the level in general, and every hold."""
    holds = "; ".join(told(hold) for hold in state.holds)
    return f"{word(level(state, ''))} [{holds}]" if holds else word(level(state, ""))


def _lines(holds: tuple[Hold, ...]) -> list[dict[str, Any]]:
    return [msgspec.to_builtins(hold_line(hold)) for hold in holds]
