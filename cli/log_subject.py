"""Whom a line is about: the order that the actor is working on as it speaks, by the ids that its rows have."""

import re
import threading

from core.runtime.address import Address
from core.runtime.system import ActorSystem
from core.trading.orders import Intent, Order

ORDER_ID = re.compile(r"^(?:[a-z]+ )?(?P<order>\d+\..+\.o)$")
"""In a timer's name, a worker's key, or what is committed: an order is called like its intent, with `.o` behind it."""


class Subject:
    """Looks at what the calling actor's thread has in hand."""

    def __init__(self, system: ActorSystem) -> None:
        self._system = system

    def __call__(self) -> dict[str, str]:
        """Return `intent` and `order`, `asset` and `condition_id` as far as they are known; empty elsewhere."""
        name, _, incarnation = threading.current_thread().name.partition("#")
        cell = self._system.cells.get(Address(name)) if incarnation else None
        current = None if cell is None else cell.current
        return {} if current is None else subject_of(current.message)


def subject_of(message: object) -> dict[str, str]:
    """Return what ids a message carries."""
    found: dict[str, str] = {}
    for field in ("key", "name"):
        matched = ORDER_ID.match(str(getattr(message, field, "")))
        if matched is not None:
            found |= {"order": matched["order"], "intent": matched["order"].removesuffix(".o")}
    for field in ("asset", "condition_id"):
        value = getattr(message, field, None)
        if isinstance(value, str):
            found[field] = value
    intent, order = getattr(message, "intent", None), getattr(message, "order", None)
    if isinstance(intent, Intent):
        found |= {"intent": intent.id, "asset": intent.asset, "condition_id": intent.condition_id}
    if isinstance(order, Order):
        found["order"] = order.id
    return found
