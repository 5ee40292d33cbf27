"""What a run's own log says: every order's decision and hand-over, and every value of the gate with its number."""

import json
from bisect import bisect_right
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path

import msgspec

from bench.safety.stakes import UNIT


class Sent(msgspec.Struct):
    """One order on its way: what it was decided on, and the gate's number at its hand-over."""

    order_id: str
    asset: str
    action: str
    reason: str
    forced: bool
    decision_price: int | None
    sent_ms: int
    gate_sequence: int
    order_hash: str


Holds = tuple[tuple[str, str, str], ...]
"""What shuts the gate: scope, empty for all; level; the rest."""


class Log(msgspec.Struct):
    """Orders by their hash, and what shut the gate by number."""

    sent: dict[str, Sent]
    gates: dict[int, Holds]
    lines: int
    tracebacks: tuple[str, ...]

    def holds_at(self, sequence: int) -> Holds:
        """Return what was in force at a number: the newest value that is known up to it."""
        numbers = sorted(self.gates)
        at = bisect_right(numbers, sequence)
        return self.gates[numbers[at - 1]] if at else ()


def read_log(path: Path) -> Log:
    """Return what a log of JSON lines says; what is no JSON, such as a traceback's line, is kept as it is."""
    decided: dict[str, dict[str, object]] = {}
    log = Log({}, {}, 0, ())
    odd: list[str] = []
    for line in path.read_text().splitlines():
        log.lines += 1
        try:
            fields = json.loads(line)
        except ValueError:
            odd.append(line)
            continue
        if "exception" in fields:
            odd.append(f"{fields['at']} {fields['text']}: {str(fields['exception']).splitlines()[-1]}")
        if fields.get("stage") == "decided":
            decided[fields["intent"]] = fields
        elif fields.get("stage") == "sent":
            sent = _sent(fields, decided.get(fields["intent"], {}))
            log.sent[sent.order_hash] = sent
        elif "gate_sequence" in fields and "holds" in fields:
            log.gates[fields["gate_sequence"]] = _holds(fields["holds"])
    log.tracebacks = tuple(odd)
    return log


def _sent(fields: dict[str, object], decided: dict[str, object]) -> Sent:
    price = decided.get("decision_price")
    return Sent(
        order_id=str(fields["order"]),
        asset=str(fields["asset"]),
        action=str(fields["action"]),
        reason=str(decided.get("reason", "")),
        forced=bool(decided.get("forced", False)),
        decision_price=None if price is None else int(Decimal(str(price)) * UNIT),
        sent_ms=int(str(fields["sent_ms"])),
        gate_sequence=int(str(fields["gate_sequence"])),
        order_hash=str(fields.get("order_hash", fields["order"])),
    )


def _holds(told: Iterable[str]) -> Holds:
    """Return the holds in lines such as `BTC reduce-only: feed.binance.BTC stale (...)`."""
    found = []
    for line in told:
        head, _, rest = line.partition(": ")
        scope, _, level = head.partition(" ")
        found.append(("" if scope == "all" else scope, level, rest))
    return tuple(found)
