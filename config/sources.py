"""Where each setting comes from: the defaults, the profile, a `.env` file, the environment, the command line."""

from collections.abc import Mapping
from pathlib import Path

import msgspec

from config.env_file import read_env_file
from config.profiles import PROFILES
from config.settings import Settings

PREFIX = "FUSEBOX_"
UNPREFIXED = {"database_url": "DATABASE_URL", "discord_webhook_url": "DISCORD_WEBHOOK_URL"}
VARIABLES = {name: UNPREFIXED.get(name, PREFIX + name.upper()) for name in Settings.model_fields}
"""Environment variable of each setting."""
OPTIONS = {"lease_wait_s": "--no-wait"}
"""Options of the command line that are not called as their setting."""
DEFAULT = "default"
ENV_FILE = ".env file"


class Given(msgspec.Struct, frozen=True):
    """A value as it was given, not yet checked, and by whom, for people; `thing` is what an error calls it."""

    value: object
    source: str
    thing: str
    of_profile: bool = False


class Layers(msgspec.Struct, frozen=True):
    """What the layers above the defaults say, the strongest of each setting; and variables that are no setting."""

    given: dict[str, Given]
    unknown: tuple[str, ...] = ()

    def without(self, names: frozenset[str]) -> "Layers":
        """Return the layers with some settings left to profile and defaults, and without what is no setting."""
        kept = {name: each for name, each in self.given.items() if name not in names and not each.of_profile}
        return Layers(_profile(kept) | kept)

    def source(self, name: str) -> str:
        """Return which layer a setting's value is from."""
        return self.given[name].source if name in self.given else DEFAULT


def layers(environ: Mapping[str, str], overrides: Mapping[str, object] | None, env_file: Path | None) -> Layers:
    """Return what environment, command line, `.env` file and profile say; an empty value counts as unset.

    Raises:
        ConfigError: the `.env` file cannot be read.
    """
    filed = {name: value for name, value in read_env_file(env_file).items() if value}
    named = {name: value for name, value in environ.items() if value}
    above: dict[str, Given] = {}
    for name, variable in VARIABLES.items():
        if variable in named:
            above[name] = Given(named[variable], f"environment {variable}", f"{variable}={named[variable]}")
        elif variable in filed:
            above[name] = Given(filed[variable], ENV_FILE, f"{variable}={filed[variable]}")
    for name, value in (overrides or {}).items():
        if value is not None:
            option = OPTIONS.get(name, "--" + name.replace("_", "-"))
            above[name] = Given(value, f"option {option}", f"{option} {value}")
    known = set(VARIABLES.values())
    unknown = sorted(name for name in filed | named if name.startswith(PREFIX) and name not in known)
    return Layers(_profile(above) | above, tuple(unknown))


def _profile(above: Mapping[str, Given]) -> dict[str, Given]:
    """Return what the profile says that the layers above it choose."""
    name = str(above["profile"].value) if "profile" in above else "demo"
    return {
        setting: Given(value, f"profile {name}", f"{VARIABLES[setting]}={value}", of_profile=True)
        for setting, value in PROFILES.get(name, {}).items()
    }
