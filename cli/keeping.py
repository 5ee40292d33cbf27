"""What a run takes over from the process before it, and keeps for the one after it."""

import contextlib

from actors.addresses import PAPER_EXECUTOR, PAPER_PORTFOLIO
from cli.checkpoint_keeper import Keeper
from cli.database import Database
from cli.model_line import ModelLine
from cli.policy_choice import Choice
from core.records import CheckpointRecord
from core.runtime.threaded import ThreadedRuntime
from core.trading.gate import GateLevel


class Keeping:
    """The restored states of a run, its weights, and the keeper of its checkpoints."""

    def __init__(self, system: ThreadedRuntime, database: Database, choice: Choice) -> None:
        self._system = system
        restored = database.restore()
        system.inherit(restored.states)
        self.refusal = restored.refusal
        beside = database.beside
        self.models: ModelLine = database.open_models(choice.weights, choice.line, choice.source)
        self.keeper = Keeper(
            system,
            database.session.id,
            write=database.write_checkpoints,
            mark=database.quarantine,
            copies=database.copies,
            others={} if beside is None else {PAPER_PORTFOLIO.name: beside.id, PAPER_EXECUTOR.name: beside.id},
        )

    def store(self, payload: bytes, now_ms: int) -> CheckpointRecord:
        """Take what a learner has learnt into use, see to its local copy, and return the row to be written."""
        row = self.models.store(payload, now_ms)
        self.keeper.copy(row)
        return row

    def begin(self, ends: contextlib.ExitStack) -> None:
        """Close the gate where the account is not known, and keep from now on; the last states once actors ended."""
        if self.refusal is not None:
            self._system.gate.hold(None, self.refusal, GateLevel.CLOSED)
        self.keeper.copy(self.models.row)
        ends.callback(self.keeper.finish)
        self.keeper.start()
