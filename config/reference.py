"""Prints docs/configuration.md from the settings themselves: `python -m config.reference > docs/configuration.md`."""

import sys
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from config.load import VARIABLES
from config.profiles import PROFILES
from config.settings import PROJECT_ROOT, SECRETS, Settings

UNITS = {"usd": "USD", "ms": "ms", "s": "s", "seconds": "s", "ticks": "ticks"}
"""Unit by a word of a setting's name."""
BOUNDS = {"gt": "> {}", "ge": "≥ {}", "le": "≤ {}", "lt": "< {}"}
KINDS = {bool: "true, false", Path: "path"}

HEAD = """\
# Configuration

Every setting of `run` is an environment variable. Later layers win: the defaults, the profile's own values (`demo` or
`real`), a `.env` file in the project's root (`.env.example` is one to start from), the environment, the command line
(`run --help`). An empty variable counts as unset. What cannot be used ends the program with exit code 2 and one line
each, which names the variable, what was given and what is expected. The secrets (`{secrets}`)
are never printed, logged or stored. `replay` reads none of this: its options say everything.

Seconds "at W = 900" belong to a window of 900 s and shrink with it: in the demo's windows of {window_s} s, {exit_s:g} s
before the close are {exit_scaled_s:g} s. Relative paths are taken from the project's root.

| Variable | Unit | Default | Allowed | Meaning |
|---|---|---|---|---|
"""

TAIL = """
Beyond the single values:

- A day must be a whole number of windows: W is 20, 30, 60, 120, 300 or 900, say. With the real profile it is 900.
- `FUSEBOX_MIN_SECONDS_LEFT_TO_OPEN` must be above `FUSEBOX_EXIT_SECONDS_BEFORE_CLOSE`: otherwise positions would be
  sold as they are opened.
- A full-size position must not cost more than the starting cash.
- `live` and `dual` send real orders: refused without key, funder, signature type, trade size and opt-in.

This page is what `python -m config.reference` prints.
"""


def page() -> str:
    """Return the whole page as Markdown."""
    demo = Settings(**PROFILES["demo"])  # type: ignore[arg-type]  # validated by the class
    head = HEAD.format(
        secrets="`, `".join(VARIABLES[name] for name in sorted(SECRETS)),
        window_s=demo.window_s,
        exit_s=demo.exit_seconds_before_close,
        exit_scaled_s=demo.exit_before_close_s,
    )
    return head + "".join(_row(name, field) for name, field in Settings.model_fields.items()) + TAIL


def _row(name: str, field: FieldInfo) -> str:
    cells = (f"`{VARIABLES[name]}`", unit_of(name), _default(name, field), _allowed(field), field.description or "")
    return f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |\n"


def unit_of(name: str) -> str:
    """Return the unit of a setting, empty where it has none."""
    return next((UNITS[word] for word in name.split("_") if word in UNITS), "")


def _default(name: str, field: FieldInfo) -> str:
    own = {profile: values[name] for profile, values in PROFILES.items() if name in values}
    if not own:
        return _value(field.default)
    others = [] if len(own) == len(PROFILES) else [_value(field.default)]
    return "; ".join([*others, *(f"{profile}: {_value(value)}" for profile, value in own.items())])


def _value(value: object) -> str:
    if value is None or value == ():
        return "none"
    if isinstance(value, tuple):
        return f"`{','.join(map(str, value))}`"
    if isinstance(value, Path):
        return f"`{value.relative_to(PROJECT_ROOT)}`"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{value:g}`" if isinstance(value, float) else f"`{value}`"


def _allowed(field: FieldInfo) -> str:
    bounds = [
        text.format(_number(getattr(limit, name)))
        for limit in field.metadata
        for name, text in BOUNDS.items()
        if hasattr(limit, name)
    ]
    if bounds:
        return ", ".join(bounds)
    return next((said for kind in _alternatives(field.annotation) if (said := _said(kind))), "")


def _number(value: float) -> str:
    return "2^63" if value == 2**63 else f"{value:,}"


def _alternatives(annotation: Any) -> tuple[Any, ...]:
    return (annotation,) if get_origin(annotation) is Literal else get_args(annotation) or (annotation,)


def _said(kind: Any) -> str:
    if get_origin(kind) is Literal:
        return ", ".join(f"`{value}`" for value in get_args(kind))
    if kind is SecretStr:
        return "secret"
    return KINDS.get(kind, "")


if __name__ == "__main__":
    sys.stdout.write(page())
