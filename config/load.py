"""Layers the settings: defaults, then the profile, a `.env` file, the environment, and the command line on top."""

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
from pydantic import ValidationError

from config.errors import ConfigError
from config.settings import SECRETS, Settings
from config.sources import PREFIX, VARIABLES, Layers, layers

__all__ = ["VARIABLES", "ConfigError", "Problem", "checked", "load_settings"]


class Problem(msgspec.Struct, frozen=True):
    """One reason not to use the settings, as a line; `setting` is empty where it is about several, or about none."""

    setting: str
    line: str


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
    settings, problems = checked(layers(environ, overrides, env_file))
    if settings is None or problems:
        raise ConfigError("\n".join(problem.line for problem in problems))
    return settings


def checked(given: Layers) -> tuple[Settings | None, list[Problem]]:
    """Return the settings that the layers give, and each reason not to use them; None where they give none at all."""
    unknown = [Problem("", _no_such(name)) for name in given.unknown]
    try:
        settings = Settings(**{name: each.value for name, each in given.given.items()})  # type: ignore[arg-type]  # validated here, whatever it is
    except ValidationError as error:
        # The library's own report quotes what was put in, secrets included.
        return None, unknown + [
            _problem(each, given) for each in error.errors(include_url=False, include_context=False)
        ]
    return settings, unknown


def _no_such(name: str) -> str:
    bare = name.removeprefix(PREFIX)
    close = difflib.get_close_matches(
        bare, [variable.removeprefix(PREFIX) for variable in VARIABLES.values()], 1, cutoff=0.7
    )
    meant = [variable for variable in VARIABLES.values() if close and variable.removeprefix(PREFIX) == close[0]]
    remedy = f"did you mean {meant[0]}?" if meant else "docs/configuration.md lists them"
    return f"{name}: there is no such setting; {remedy}"


def _problem(error: Mapping[str, Any], given: Layers) -> Problem:
    text = str(error["msg"]).removeprefix("Value error, ").replace("Input should be", "must be")
    text = text.split(", unable to")[0].replace("valid integer", "whole number").replace("valid number", "number")
    if not error["loc"]:
        return Problem("", text)
    name = str(error["loc"][0])
    if name not in VARIABLES:
        return Problem("", f"{name}: there is no such setting")
    if name in SECRETS:
        thing = f"{VARIABLES[name]}=(not shown)"
    else:
        thing = given.given[name].thing if name in given.given else f"{VARIABLES[name]}="
    expected = Settings.model_fields[name].description
    return Problem(name, f"{thing}: {text[:1].lower()}{text[1:]}; expected: {expected}")
