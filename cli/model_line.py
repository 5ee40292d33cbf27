"""The weights in use as a line of checkpoints: stored at the first start, resumed at the next, rolled back on wish."""

import hashlib
import threading
from collections.abc import Callable, Sequence

import msgspec

from actors.learning import Loaded
from core.errors import FuseboxError
from core.records import CheckpointRecord, Record
from models.checkpoint import MODEL, ModelState, model_payload, read_model
from models.weights import Weights
from storage.checkpoint_line import stored_states
from storage.checkpoints import quarantine
from storage.local_copies import LocalCopies
from storage.pool import Connection


class ModelLine:
    """The newest weights of one name; any thread may ask for them."""

    def __init__(self, row: CheckpointRecord, weights: Weights, state: ModelState, highest: int = 0) -> None:
        self.name = row.name
        self._lock = threading.Lock()
        self._row = row
        self._highest = max(highest, row.generation)
        self._weights = weights
        self._state = state

    @property
    def row(self) -> CheckpointRecord:
        """The generation in use, as it is stored."""
        return self._row

    @property
    def source(self) -> str:
        """Where the weights in use come from, for people."""
        return self._state.source

    def weights(self) -> Weights:
        """Return the weights in use."""
        return self._weights

    def store(self, payload: bytes, now_ms: int) -> CheckpointRecord:
        """Take what a learner has learnt into use and return the row to be written; see `actors.learning.packed`."""
        weights, state = read_model(MODEL.version, payload)
        with self._lock:
            kept = msgspec.structs.replace(state, given_sha256=self._state.given_sha256)
            return self._take(msgspec.msgpack.encode(kept), weights, now_ms)

    def loaded(self) -> Loaded:
        """Return the model in use as a learner takes it up."""
        row = self._row
        return Loaded(row.generation, MODEL.read(row.schema_version, row.payload))

    def adopt(self, schema_version: int, payload: bytes, highest: int, now_ms: int) -> CheckpointRecord:
        """Take an older or imported checkpoint into use and return its row; the next start goes on from it.

        Raises:
            UnreadableStateError, WeightsError: nothing can be done with it.
        """
        weights, state = read_model(schema_version, payload)
        with self._lock:
            self._highest = max(self._highest, highest)
            kept = msgspec.structs.replace(state, given_sha256=self._state.given_sha256)
            return self._take(msgspec.msgpack.encode(kept), weights, now_ms)

    def _take(self, payload: bytes, weights: Weights, now_ms: int) -> CheckpointRecord:
        self._highest += 1
        self._weights, self._state = weights, msgspec.msgpack.decode(payload, type=ModelState)
        self._row = CheckpointRecord("model", self.name, self._highest, MODEL.version, payload, now_ms)
        return self._row


def open_line(
    connection: Connection,
    copies: LocalCopies,
    given: Weights,
    *,
    name: str,
    source: str,
    write: Callable[[Sequence[Record]], None],
    log: Callable[[str], None],
    now_ms: int,
) -> ModelLine:
    """Return what `name` goes on from: its newest usable generation, or `given` where that is news.

    Raises:
        TransientError, FatalError: the database cannot be asked.
    """
    given_sha256 = hashlib.sha256(given.to_bytes()).hexdigest()
    stored = stored_states(connection, "model", name)
    highest = max((each.generation for each in stored), default=0)
    for each in stored:
        problem = each.problem
        if problem is None:
            try:
                weights, state = read_model(each.schema_version, each.payload)
            except FuseboxError as error:
                problem = str(error)
            else:
                if state.given_sha256 != given_sha256:
                    break
                if each.generation != highest:
                    log(f"checkpoint of model {name}: goes on from generation {each.generation}")
                row = CheckpointRecord(
                    "model", name, each.generation, each.schema_version, each.payload, each.created_at_ms
                )  # fmt: skip
                return ModelLine(row, weights, state, highest)
        if not each.marked:
            log(f"checkpoint of model {name}: generation {each.generation} is set aside ({problem})")
            quarantine(connection, "model", name, each.generation, problem)
    copy = copies.read("model", name)
    if copy is not None and copy.generation >= highest:
        try:
            weights, state = read_model(copy.schema_version, copy.payload)
        except FuseboxError as error:
            log(f"checkpoint of model {name}: the local copy is not used: {error}")
        else:
            if state.given_sha256 == given_sha256:
                log(f"checkpoint of model {name}: starts from the local copy of generation {copy.generation}")
                number = max(highest, copy.generation) + (copy.generation == highest)
                row = msgspec.structs.replace(copy, generation=number)
                write((row,))
                return ModelLine(row, weights, state)
    row = CheckpointRecord("model", name, highest + 1, MODEL.version, model_payload(given, source=source), now_ms)
    write((row,))
    return ModelLine(row, *read_model(row.schema_version, row.payload))
