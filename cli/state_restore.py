"""What a process starts from: of each actor the newest checkpoint that can be trusted, and why not the newest one.

The database's newest usable generation wins. A local copy is taken only when the database has none, and never one that
is older than what the database knows of. The portfolio is different: an older account would be a wrong one, so it takes
its newest generation, or a local copy of just that, or what its rows say, or it does not trade.
"""

from collections.abc import Callable, Sequence

import msgspec

from actors import addresses
from actors.account import AccountUnknownError, disagreement, rebuilt
from actors.portfolio_state import PortfolioState
from actors.states import PORTFOLIO, state_of
from core.records import CheckpointRecord, HealthEventRecord, Record
from core.runtime.address import Address
from core.runtime.checkpoint import Inherited, OlderState, StateFormat, UnreadableStateError
from core.trading.money import micros
from storage.account_rows import account_rows
from storage.checkpoint_line import StoredState, stored_names, stored_states
from storage.checkpoints import quarantine
from storage.local_copies import LocalCopies
from storage.pool import Connection
from storage.queries import Session, checkpoint_name

REMEDY = "`checkpoints import portfolio FILE --force`, `checkpoints rollback portfolio --force`, or `run --new-session`"


class Restored(msgspec.Struct, frozen=True):
    """What every actor starts from, by address name; `refusal` says why nothing may be traded, None when it may."""

    states: dict[str, Inherited]
    refusal: str | None = None


class _Choice(msgspec.Struct, frozen=True):
    """The usable generations of one name, newest first, and the highest number that was ever given out."""

    highest: int
    usable: tuple[OlderState, ...]
    newest_is_usable: bool
    problem: str | None
    source: str | None = None


class Restore:
    """Chooses for one session.

    Args:
        connection: to the database; what is of no use is marked there.
        session: whose actors.
        copies: local copies of this database.
        write: writes rows under the lease.
        log: hears one line for each thing that is not as it should be.
        now_ms: wall time.
        portfolio: who keeps the session's account.
    """

    def __init__(
        self,
        connection: Connection,
        session: Session,
        copies: LocalCopies,
        *,
        write: Callable[[Sequence[Record]], None],
        log: Callable[[str], None],
        now_ms: int,
        portfolio: Address = addresses.PORTFOLIO,
    ) -> None:
        self._portfolio_at = portfolio
        self._connection = connection
        self._session = session
        self._copies = copies
        self._write = write
        self._log = log
        self._now_ms = now_ms

    def run(self) -> Restored:
        """Return what to start from.

        Raises:
            TransientError, FatalError: the database cannot be asked.
        """
        prefix = checkpoint_name(self._session.id, "")
        found = {*stored_names(self._connection, "actor", prefix), *self._copies.names("actor", prefix)}
        states: dict[str, Inherited] = {}
        for name in sorted(found):
            address = Address(name.removeprefix(prefix))
            layout = state_of(address)
            if layout is None or address == self._portfolio_at:
                continue
            choice = self._choose(name, layout)
            states[address.name] = _inherited(choice)
            if choice.problem is not None:
                self._tell(address, choice.problem)
        account, refusal = self._portfolio(checkpoint_name(self._session.id, self._portfolio_at.name))
        if account is not None:
            states[self._portfolio_at.name] = account
        return Restored(states, refusal)

    # -- any actor ----------------------------------------------------------------------------------------------

    def _choose(self, name: str, layout: StateFormat) -> _Choice:
        stored = stored_states(self._connection, "actor", name)
        usable, bad = self._sorted(name, stored, layout)
        highest = max((each.generation for each in stored), default=0)
        problem, source = None, None
        newest_is_usable = bool(usable) and usable[0].generation == highest
        if bad:
            problem = f"generation {', '.join(str(each[0]) for each in bad)} is set aside ({bad[0][1]})"
        if not usable:
            copy = self._copies.read("actor", name)
            if copy is not None:
                took = self._from_copy(copy, layout, highest)
                highest = max(highest, copy.generation)
                if isinstance(took, str):
                    problem = f"{problem or 'the database has no checkpoint'}; {took}"
                else:
                    usable, source = [took], f"the local copy of generation {took.generation}"
                    problem = problem or "the database has no checkpoint"
        if problem is not None:
            how = source or (f"generation {usable[0].generation}" if usable else "nothing")
            problem = f"{problem}; starts from {how}"
        return _Choice(highest, tuple(usable), newest_is_usable, problem, source)

    def _sorted(
        self, name: str, stored: list[StoredState], layout: StateFormat
    ) -> tuple[list[OlderState], list[tuple[int, str]]]:
        """Return what can be used in today's layout, and what cannot; the latter is in quarantine from now on.

        An older executor would act again for orders that ended, so for such a one only the newest counts.
        """
        usable: list[OlderState] = []
        bad: list[tuple[int, str]] = []
        for each in stored:
            reason = each.problem
            if reason is None:
                try:
                    usable.append(OlderState(each.generation, layout.read(each.schema_version, each.payload)))
                    continue
                except UnreadableStateError as error:
                    reason = str(error)
            if not each.marked:
                quarantine(self._connection, "actor", name, each.generation, reason)
                bad.append((each.generation, reason))
        if layout.fallback != "older" and stored:
            usable = [each for each in usable if each.generation == stored[0].generation]
        return usable, bad

    def _from_copy(self, copy: CheckpointRecord, layout: StateFormat, known: int) -> OlderState | str:
        """Return the state in a local copy, or why it is not used."""
        if copy.generation < known:
            return f"the local copy is of generation {copy.generation}, older than {known} in the database: not used"
        try:
            return OlderState(copy.generation, layout.read(copy.schema_version, copy.payload))
        except UnreadableStateError as error:
            return f"the local copy of generation {copy.generation} is not used: {error}"

    # -- the portfolio ------------------------------------------------------------------------------------------

    def _portfolio(self, name: str) -> tuple[Inherited | None, str | None]:
        choice = self._choose(name, PORTFOLIO)
        if choice.usable and choice.source is None:
            if choice.problem is not None:  # an older one is damaged: of no consequence, but told
                self._tell(self._portfolio_at, choice.problem)
            return _inherited(choice), None
        rows = account_rows(self._connection, self._session.id)
        if choice.usable:
            state = choice.usable[0]
            wrong = disagreement(msgspec.msgpack.decode(state.state, type=PortfolioState), rows)
            if wrong is None:
                self._tell(self._portfolio_at, f"{choice.problem}, which agrees with the rows")
                return self._stored_again(name, choice.highest, state.state), None
            self._log(f"portfolio: the local copy of generation {state.generation} is not used: {wrong}")
        elif not choice.highest and rows.untouched:
            return None, None
        problem = (choice.problem or "there is no checkpoint").partition("; starts from")[0]
        try:
            account = rebuilt(rows, micros(str(self._session.config["starting_cash_usd"])))
        except (AccountUnknownError, KeyError) as error:
            why = f"{problem}; its account cannot be told from the rows: {error}"
            self._tell(self._portfolio_at, f"{why}; nothing is traded: {REMEDY}")
            return Inherited(choice.highest, None), f"the account is not known ({error}): {REMEDY}"
        cash = account.ledger.cash_usd / 1e6
        held = len(account.ledger.positions)
        self._tell(
            self._portfolio_at,
            f"{problem}; rebuilt from {account.ledger.trade_count} trades and {held} positions, cash {cash:.2f} USD",
        )
        return self._stored_again(name, choice.highest, msgspec.msgpack.encode(account)), None

    def _stored_again(self, name: str, highest: int, payload: bytes) -> Inherited:
        """Make what was found elsewhere the database's newest generation, so that the next start finds it there."""
        number = highest + 1
        self._write((CheckpointRecord("actor", name, number, PORTFOLIO.version, payload, self._now_ms),))
        return Inherited(number, payload, number)

    def _tell(self, address: Address, text: str) -> None:
        self._log(f"checkpoint of {address}: {text}")
        self._write((HealthEventRecord(self._session.id, address.name, "checkpoint", text, self._now_ms),))


def _inherited(choice: _Choice) -> Inherited:
    if not choice.usable:
        return Inherited(choice.highest, None)
    newest, *older = choice.usable
    return Inherited(
        generation=choice.highest,
        state=newest.state,
        of=newest.generation,
        stored=choice.source is None,
        older=tuple(older),
    )
