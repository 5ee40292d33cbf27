"""Every setting as a row for people: value, unit, source, and what it comes to in this run's windows and sizes."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path

import msgspec
from pydantic import SecretStr

from config.reference import unit_of
from config.settings import SECRETS, Settings
from config.sources import VARIABLES, Layers
from core.trading.money import decimal

HIDDEN = "(set, not shown)"
NONE = "none"
COMES_TO: Mapping[str, Callable[[Settings], float | Decimal]] = {
    "max_position_usd": lambda settings: decimal(settings.max_position),
    "max_asset_exposure_usd": lambda settings: decimal(settings.max_asset_exposure),
    "max_exposure_usd": lambda settings: decimal(settings.max_exposure),
    "max_daily_loss_usd": lambda settings: decimal(settings.max_daily_loss),
    "max_drawdown_usd": lambda settings: decimal(settings.max_drawdown),
    "min_seconds_left_to_open": lambda settings: settings.open_needs_s,
    "exit_seconds_before_close": lambda settings: settings.exit_before_close_s,
    "max_position_age_s": lambda settings: settings.max_position_age_s * settings.scale,
    "book_stale_s": lambda settings: settings.book_stale_after_s,
    "stale_book_exit_s": lambda settings: settings.book_exit_after_s,
    "flow_stale_s": lambda settings: settings.flow_stale_after_s,
}
"""What is meant relative to the trade size, or to a window of 900 s."""


class Row(msgspec.Struct, frozen=True):
    """A setting as it is used. `comes_to` is empty where that is the value itself; no secret is in it."""

    setting: str
    variable: str
    value: str
    unit: str
    source: str
    default: str
    comes_to: str
    changed: bool


def rows(settings: Settings, layers: Layers) -> list[Row]:
    """Return every setting, in the order of docs/configuration.md."""
    return [_row(settings, layers, name) for name in Settings.model_fields]


def shown(name: str, value: object) -> str:
    """Return a setting's value as it is written in a `.env` file; a secret only as set or not."""
    if value is None or value in ((), ""):
        return NONE
    if name in SECRETS or isinstance(value, SecretStr):
        return HIDDEN
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    if isinstance(value, Decimal):
        return f"{value.normalize():f}"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _row(settings: Settings, layers: Layers, name: str) -> Row:
    value = getattr(settings, name)
    default = Settings.model_fields[name].default
    text = shown(name, value)
    came = shown(name, _rounded(COMES_TO[name](settings))) if name in COMES_TO else text
    return Row(
        setting=name,
        variable=VARIABLES[name],
        value=text,
        unit=unit_of(name),
        source=layers.source(name),
        default=shown(name, default),
        comes_to="" if came == text else came,
        changed=value != default and not (isinstance(value, Path) and value == default),
    )


def _rounded(value: float | Decimal) -> float | Decimal:
    return round(value, 3) if isinstance(value, float) else value
