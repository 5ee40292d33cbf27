"""Reads a `.env` file: settings as lines, for who does not want them in the environment."""

import io
from pathlib import Path

from config.errors import ConfigError


def read_env_file(path: Path | None) -> dict[str, str | None]:
    """Return the variables of a `.env` file, none where there is no such file.

    Raises:
        ConfigError: it is there and cannot be read.
    """
    if path is None or not path.exists():
        return {}
    from dotenv import dotenv_values  # noqa: PLC0415 -- most hosts have no such file

    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}: make it a file that you may read") from error
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: is no text in UTF-8: write it again, one NAME=value a line") from None
    return dotenv_values(stream=io.StringIO(text))
