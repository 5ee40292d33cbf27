"""Rows back as the records that were written: the inverse of the writer's columns."""

from collections.abc import Mapping
from typing import Any, TypeVar

from core.records import (
    AlertRecord,
    FillRecord,
    HealthEventRecord,
    IntentRecord,
    MarketRecord,
    OrderRecord,
    TradeRecord,
)
from storage.values import instant, money, units, unix_ms
from storage.writer import COLUMNS

R = TypeVar(
    "R", AlertRecord, FillRecord, HealthEventRecord, IntentRecord, MarketRecord, OrderRecord, TradeRecord
)  # fmt: skip
_BACK: dict[object, Any] = {instant: unix_ms, money: units, list: tuple}


def record_of(kind: type[R], row: Mapping[str, Any]) -> R:
    """Return the record of `kind` whose columns `row` has, whatever else it has."""
    values: dict[str, Any] = {}
    for field, (column, convert) in COLUMNS[kind].items():
        value = row[column]
        values[field] = value if value is None or convert is None else _BACK[convert](value)
    return kind(**values)
