"""What the page's buttons do: the command line's own ways to a running process, or to what is stored without one."""

from collections.abc import Mapping
from typing import Any

import msgspec

from cli.client import NotRunningError, Whereabouts, ask, running_process
from cli.gate_offline import Change, gate_file, lift, now_ms, runs_here, store
from cli.hold_lines import HoldLine, hold_text
from config.limits import KNOWN_ASSETS
from core.errors import FuseboxError, RejectedError, TransientError
from core.trading.gate import GateState
from core.trading.lasting_holds import flattened, halted, told
from web.actions import Outcome

ANSWER_S = 10.0
BY = "dashboard"
"""Who is recorded to have done it."""


class PageCommands:
    """Gives commands as the command line does; each raises FuseboxError where it was refused or nobody answered."""

    def __init__(self, settings: Whereabouts, timeout_s: float = ANSWER_S) -> None:
        self._settings = settings
        self._timeout_s = timeout_s

    def restart(self, name: str) -> Outcome:
        """Have an asset's actors, or one actor, replaced."""
        with running_process(self._settings) as (connection, _):
            result = ask(connection, "restart", {"name": name}, self._timeout_s)
        done = [f"{each['address']}, incarnation {each['incarnation']}" for each in result["restarted"]]
        return Outcome(f"restarted {name} in {result['took_ms']:.0f} ms", done)

    def halt(self, reason: str) -> Outcome:
        """Close the gate: by the file at once where the process runs here, by the database everywhere else."""
        at_ms = now_ms()

        def change(state: GateState) -> GateState:
            return halted(state, reason, BY, at_ms)

        if runs_here(self._settings):  # it closes by this, whatever the database does
            gate_file(self._settings).update(change)
        return self._give("halt", {"by": BY, "reason": reason, "at_ms": at_ms}, change)

    def flatten(self, asset: str) -> Outcome:
        """Have what is held sold, in one asset or, with an empty text, in all."""
        at_ms, scope = now_ms(), asset.upper()

        def change(state: GateState) -> GateState:
            if scope and scope not in KNOWN_ASSETS:
                raise RejectedError(f"there is no asset {scope!r}: choose from {', '.join(KNOWN_ASSETS)}")
            return flattened(state, scope, BY, at_ms)

        return self._give("flatten", {"by": BY, "reason": "", "at_ms": at_ms, "asset": scope}, change)

    def resume(self, reason: str) -> Outcome:
        """Lift what only a person lifts."""
        args = {"by": BY, "reason": reason, "at_ms": now_ms()}
        try:
            with running_process(self._settings) as (connection, _):
                result = ask(connection, "resume", args, self._timeout_s)
        except NotRunningError as error:
            if runs_here(self._settings):
                raise TransientError(
                    f"nothing was lifted: the database of the running process is away ({error})"
                ) from error
            lifted = lift(self._settings, f"resume ({reason}) by {BY}")
            lines = [f"lifted {told(hold)}" for hold in lifted]
            return Outcome("resumed: no process trades; the next start is not held by these", lines)
        return _outcome(result, "resumed")

    def _give(self, command: str, args: Mapping[str, Any], change: Change) -> Outcome:
        try:
            with running_process(self._settings) as (connection, _):
                result = ask(connection, command, args, self._timeout_s)
        except RejectedError:
            raise
        except FuseboxError as error:
            done = store(self._settings, command, change, error)
            if done.seen:
                whose = "the running process has taken it from the file and goes by it"
            elif done.running:
                whose = "the running process has not confirmed it"
            else:
                whose = "no process trades that could be reached; the next start goes by it"
            lines = [*done.problems, *(told(hold) for hold in done.holds)]
            return Outcome(f"{command} is stored in {' and '.join(done.places)}: {whose}", lines)
        return _outcome(result, "halted" if command == "halt" else f"flatten {args['asset'] or 'all'}")


def _outcome(result: Mapping[str, Any], done: str) -> Outcome:
    def lines(key: str, prefix: str) -> list[str]:
        return [f"{prefix}{hold_text(msgspec.convert(hold, type=HoldLine))}" for hold in result.get(key, ())]

    held = [
        f"holds {each['asset']} {each['side']} {each['shares']} shares, {each['cost_usd']} USD"
        + (f": {each['remark']}" if each["remark"] else "")
        for each in result["held"]
    ]
    kept = [f"nothing can be sold while the gate is closed by {hold}" for hold in result.get("kept_closed_by", ())]
    return Outcome(
        f"{done}; gate {result['before']} to {result['gate']}",
        [*lines("lifted", "lifted: "), *lines("remaining", "still: "), *held, *kept, *result["late"]],
    )
