"""A log record as one line of JSON: when, how grave, who, what, and whatever was bound to it."""

from __future__ import annotations

import json
import math
import traceback
from collections.abc import Callable, Mapping
from datetime import UTC
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from loguru import Record


LINE = "json"
"""Where the line lies in a record's extras while it is on its way to a sink."""
OWN = frozenset(("at", "level", "logger", "text", "thread", "exception"))


def json_line(record: Record, scrub: Callable[[str], str] = str) -> str:
    """Return the record as a line of ASCII without its end; a traceback is a field.

    Args:
        record: of loguru.
        scrub: takes secrets out of every text in it.
    """
    at = record["time"].astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    fields: dict[str, Any] = {
        "at": at,
        "level": record["level"].name,
        "logger": record["name"],
        "text": scrub(record["message"]),
        "thread": record["thread"].name,
    }
    extra = {name: value for name, value in record["extra"].items() if name != LINE}
    fields |= {f"{name}_" if name in OWN else name: _plain(value, scrub) for name, value in extra.items()}
    failed = record["exception"]
    if failed is not None:
        told = traceback.format_exception(failed.type, failed.value, failed.traceback)
        fields["exception"] = scrub("".join(told).rstrip("\n"))
    return json.dumps(fields, separators=(",", ":"))


def json_format(scrub: Callable[[str], str]) -> Callable[[Record], str]:
    """Return what tells loguru how to write a record: the line itself must not be read as a template."""

    def template(record: Record) -> str:
        record["extra"][LINE] = json_line(record, scrub)
        return f"{{extra[{LINE}]}}\n"

    return template


def _plain(value: object, scrub: Callable[[str], str]) -> object:
    """Return a value as JSON knows it; what is not a finite number or a text is written as one."""
    match value:
        case None | bool() | int():
            return value
        case float():
            return value if math.isfinite(value) else str(value)
        case Mapping():
            return {str(key): _plain(each, scrub) for key, each in value.items()}
        case list() | tuple():
            return [_plain(each, scrub) for each in value]
        case _:
            return scrub(str(value))
