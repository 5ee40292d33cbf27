"""A hold on the gate as people and programs read it; of its own, so that a command in a hurry loads nothing else."""

from datetime import UTC, datetime

import msgspec

from core.trading.gate import GateLevel, Hold
from core.trading.lasting_holds import LASTING


class HoldLine(msgspec.Struct, frozen=True):
    """A reason to keep the gate shut; scope is an asset, or empty for all.

    `set_by` is empty for the program itself, `lasting` says that only `resume` lifts it. In the assets of
    `softened_for` it is reduce-only at most.
    """

    scope: str
    reason: str
    level: str
    detail: str = ""
    set_by: str = ""
    set_at_ms: int | None = None
    lasting: bool = False
    softened_for: list[str] = []


def hold_line(hold: Hold) -> HoldLine:
    """Return a hold as `status` shows it."""
    return HoldLine(
        scope=hold.scope,
        reason=hold.reason,
        level=word(hold.level),
        detail=hold.detail,
        set_by=hold.set_by,
        set_at_ms=hold.set_at_ms or None,
        lasting=hold.reason in LASTING,
        softened_for=list(hold.softened_for),
    )


def hold_text(hold: HoldLine) -> str:
    """Return a hold on one line: where, how far, why, who, since when, and for which assets not that far."""
    detail = f" ({hold.detail})" if hold.detail else ""
    by = f", by {hold.set_by}" if hold.set_by else ""
    since = "" if hold.set_at_ms is None else f", since {moment(hold.set_at_ms)}"
    softened = f"; reduce-only for {', '.join(hold.softened_for)}" if hold.softened_for else ""
    lifted = "; `resume` lifts it" if hold.lasting else ""
    return f"{hold.scope or 'all'} {hold.level}: {hold.reason}{detail}{by}{since}{softened}{lifted}"


def word(at: GateLevel) -> str:
    """Return a gate level as it is written everywhere: open, reduce-only, closed."""
    return at.name.lower().replace("_", "-")


def moment(at_ms: int) -> str:
    """Return unix milliseconds as people read them."""
    return f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m-%d %H:%M:%S} UTC"
