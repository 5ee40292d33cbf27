"""Where a running process is found: its state folder and its database, without loading every setting.

Commands for a running process need no more than this, and must answer at once: all settings and their validation take
longer to load than such a command takes. Whatever is not plain here is left to the full loader and its explanations.
"""

import os
from collections.abc import Mapping
from pathlib import Path

from config.names import VARIABLE_NAMES

PROJECT_ROOT = Path(__file__).resolve().parent.parent
DEFAULT_STATE_DIR = ".fusebox"
STATE_DIR = "FUSEBOX_STATE_DIR"
DATABASE_URL = "DATABASE_URL"
POSTGRES = ("postgres://", "postgresql://")


class Secret:
    """A text that is only shown on purpose."""

    def __init__(self, text: str) -> None:
        self._text = text

    def get_secret_value(self) -> str:
        """Return the text."""
        return self._text

    def __repr__(self) -> str:
        """Return stars."""
        return "Secret('**********')"


class Place:
    """State folder, and the database's address if it is not the embedded one."""

    def __init__(self, state_dir: Path, database_url: Secret | None) -> None:
        self.state_dir = state_dir
        self.database_url = database_url


def find_place(environ: Mapping[str, str], env_file: Path | None = None) -> Place | None:
    """Return where the process is by environment and `.env` file; None when only the full loader can tell.

    That is the case for a variable it may not know, and for an address that is not PostgreSQL's.
    """
    filed: Mapping[str, str | None] = {}
    if env_file is not None and env_file.exists():
        from config.env_file import read_env_file  # noqa: PLC0415 -- most hosts have no such file
        from config.errors import ConfigError  # noqa: PLC0415

        try:
            filed = read_env_file(env_file)
        except ConfigError:
            return None
    variables = {name: value for name, value in {**filed, **environ}.items() if value}
    if any(name.startswith("FUSEBOX_") and name not in VARIABLE_NAMES for name in variables):
        return None
    url = variables.get(DATABASE_URL)
    if url is not None and not url.startswith(POSTGRES):
        return None
    state_dir = PROJECT_ROOT / Path(variables.get(STATE_DIR, DEFAULT_STATE_DIR)).expanduser()
    return Place(state_dir, None if url is None else Secret(url))


def place_of_this_shell() -> Place | None:
    """Return `find_place` of the environment and the project's `.env` file."""
    return find_place(os.environ, PROJECT_ROOT / ".env")
