"""Layers the settings: defaults, then the profile, a `.env` file, the environment, and the command line on top."""

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dotenv import dotenv_values
from pydantic import ValidationError

from config.profiles import PROFILES
from config.settings import SECRETS, Settings
from core.errors import FatalError

PREFIX = "FUSEBOX_"
UNPREFIXED = {"database_url": "DATABASE_URL", "discord_webhook_url": "DISCORD_WEBHOOK_URL"}
VARIABLES = {name: UNPREFIXED.get(name, PREFIX + name.upper()) for name in Settings.model_fields}
"""Environment variable of each setting."""


class ConfigError(FatalError):
    """Raised for settings that cannot be used: one line each, with variable, value and remedy; no secret is shown."""


def load_settings(
    environ: Mapping[str, str], overrides: Mapping[str, object] | None = None, env_file: Path | None = None
) -> Settings:
    """Return the settings of a run.

    Args:
        environ: the environment; an empty value counts as unset.
        overrides: what the command line names, by setting; None counts as unset.
        env_file: a `.env` file; it need not exist.

    Raises:
        ConfigError: one line for each bad or unknown setting.
    """
    filed = dotenv_values(env_file) if env_file is not None and env_file.exists() else {}
    variables = {name: value for name, value in (filed | dict(environ)).items() if value}
    _refuse_unknown(variables)
    given: dict[str, object] = {
        name: variables[variable] for name, variable in VARIABLES.items() if variable in variables
    }
    given |= {name: value for name, value in (overrides or {}).items() if value is not None}
    profile = PROFILES.get(str(given.get("profile", "demo")), {})
    try:
        return Settings(**{**profile, **given})  # type: ignore[arg-type]  # validated here, whatever it is
    except ValidationError as error:
        lines = [_line(problem, given) for problem in error.errors(include_url=False, include_context=False)]
        # The library's own report quotes what was put in, secrets included.
        raise ConfigError("\n".join(lines)) from None


def _refuse_unknown(variables: Mapping[str, str | None]) -> None:
    known = set(VARIABLES.values())
    lines = []
    for name in sorted(variables):
        if not name.startswith(PREFIX) or name in known:
            continue
        bare = name.removeprefix(PREFIX)
        close = difflib.get_close_matches(bare, [variable.removeprefix(PREFIX) for variable in known], 1, cutoff=0.7)
        meant = [variable for variable in known if close and variable.removeprefix(PREFIX) == close[0]]
        remedy = f"did you mean {meant[0]}?" if meant else "docs/configuration.md lists them"
        lines.append(f"{name}: there is no such setting; {remedy}")
    if lines:
        raise ConfigError("\n".join(lines))


def _line(problem: Mapping[str, Any], given: Mapping[str, object]) -> str:
    text = str(problem["msg"]).removeprefix("Value error, ")
    if not problem["loc"]:
        return text
    name = str(problem["loc"][0])
    if name not in VARIABLES:
        return f"{name}: there is no such setting"
    value = "(not shown)" if name in SECRETS else str(given.get(name, ""))
    return (
        f"{VARIABLES[name]}={value}: {text[:1].lower()}{text[1:]}; expected: {Settings.model_fields[name].description}"
    )
