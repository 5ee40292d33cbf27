"""Making an incarnation from the newest state from which one can be made.

A constructor has nothing but its context, so what it raises over a checkpoint it raises again at each restart: that
would use up the actor's restarts and retire its asset over a few bad bytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.runtime.checkpoint import OlderState, Quarantined

if TYPE_CHECKING:
    from collections.abc import Callable

    from core.runtime.cell import Cell
    from core.runtime.incarnation import Incarnation


def constructed(make: Callable[[], Incarnation], cell: Cell) -> tuple[Incarnation, str | None]:
    """Return the next incarnation of `cell`, and in one line what was set aside for it.

    A state is blamed only when its actor can be made from another one; otherwise the constructor's own error is
    raised and nothing has changed. An incarnation that was replaced meanwhile changes nothing either.
    """
    number = cell.incarnation
    offered = _from_offer(make, cell, number)
    if offered is not None:
        return offered, None
    before = _States(cell)
    try:
        return make(), None
    except Exception as error:
        policy = "never" if cell.spec.state is None else cell.spec.state.fallback
        if before.saved is None or policy == "never":
            raise
        bad = [Quarantined(before.saved_as, _line(error))]
        for state in [*(before.older if policy == "older" else ()), None]:
            if not before.fall_back(cell, number, state):
                raise
            try:
                made = make()
            except Exception as again:  # noqa: BLE001 -- the next older one is tried; the first error is the one told
                if state is not None:
                    bad.append(Quarantined(state.generation, _line(again)))
                continue
            cell.quarantined.extend(bad)
            return made, _told(bad, state)
        before.put_back(cell, number)
        raise


class _States:
    """The states of a cell as they were, to be put back."""

    def __init__(self, cell: Cell) -> None:
        with cell.lock:
            self.generation, self.saved_as, self.saved = cell.generation, cell.saved_as, cell.saved
            self.older = tuple(cell.older)

    def fall_back(self, cell: Cell, number: int, state: OlderState | None) -> bool:
        """Let `state` be the cell's, and what is older than it; False when another incarnation is there by now."""
        with cell.lock:
            if cell.incarnation != number:
                return False
            cell.saved, cell.saved_as = (None, 0) if state is None else (state.state, state.generation)
            cell.older.clear()
            cell.older.extend(each for each in self.older if each.generation < cell.saved_as)
            return True

    def put_back(self, cell: Cell, number: int) -> None:
        """Let everything be as it was, unless another incarnation is there by now."""
        with cell.lock:
            if cell.incarnation == number:
                cell.generation, cell.saved_as, cell.saved = self.generation, self.saved_as, self.saved
                cell.older.clear()
                cell.older.extend(self.older)


def _from_offer(make: Callable[[], Incarnation], cell: Cell, number: int) -> Incarnation | None:
    """Start from what an operator offers, as a generation of its own; None when there is no offer or it is no use."""
    before = _States(cell)
    with cell.lock:
        offer, cell.offer = cell.offer, None
        if offer is None or cell.incarnation != number:
            return None
        cell.save(cell.generation + 1, offer.state)
        generation = cell.generation
    try:
        made = make()
    except Exception as error:  # noqa: BLE001 -- told to the operator; the actor goes on from what it had
        before.put_back(cell, number)
        offer.error = _line(error)
        return None
    offer.generation = generation
    return made


def _told(bad: list[Quarantined], state: OlderState | None) -> str:
    numbers = ", ".join(str(each.generation) for each in bad)
    goes_on = "starts without a checkpoint" if state is None else f"goes on from generation {state.generation}"
    return f"generation {numbers} is set aside ({bad[0].reason}); {goes_on}"


def _line(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"
