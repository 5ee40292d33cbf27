"""Where the log goes: lines for people or JSON on standard output, JSON in the state folder."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from loguru import logger

from cli.log_lines import json_format
from config.load import VARIABLES, ConfigError
from config.settings import Settings

if TYPE_CHECKING:
    from loguru import Record

NAME = "fusebox.jsonl"
"""The log file in the state folder."""
AT_NIGHT = "{time:YYYY-MM-DD HH:mm:ss.SSS} {level: <7} {message}"
"""A line for people who look later; on a terminal the day is known."""
ON_TERMINAL = "{time:HH:mm:ss} {level: <7} {message}"


def open_log(settings: Settings, scrub: Callable[[str], str], terminal: Callable[[str], None] | None) -> None:
    """Send the log to its places, and only there; other libraries' warnings and what nobody caught with it.

    Args:
        settings: format, level and state folder.
        scrub: takes secrets out of every line.
        terminal: prints a line above the live table; None where there is no terminal to show one on.

    Raises:
        ConfigError: the state folder cannot be written.
    """
    logger.remove()
    logger.configure(patcher=lambda record: _scrubbed(record, scrub))
    file = settings.state_dir / NAME
    as_json = json_format(scrub)
    try:
        settings.state_dir.mkdir(parents=True, exist_ok=True)
        logger.add(file, level="DEBUG", format=as_json, rotation="10 MB", retention=3, diagnose=False, backtrace=False)
    except OSError as error:
        reason = f"{error.strerror}: name a folder that can be written"
        raise ConfigError(f"{VARIABLES['state_dir']}={settings.state_dir}: {reason}") from error
    if terminal is not None:
        logger.add(terminal, level=settings.log_level, format=ON_TERMINAL, diagnose=False)
    elif settings.log_format == "human":
        logger.add(sys.stdout, level=settings.log_level, format=AT_NIGHT, diagnose=False)
    else:
        logger.add(sys.stdout, level=settings.log_level, format=as_json, colorize=False, diagnose=False)
    _take_in_others()


def _take_in_others() -> None:
    """Let the warnings of libraries, and tracebacks that would go to standard error, be lines of this log."""
    others = logging.getLogger()
    others.handlers = [_Others(logging.WARNING)]
    logging.getLogger("psycopg").setLevel(logging.ERROR)  # what it warns of, a write that failed, we report ourselves
    threading.excepthook = _uncaught


def _uncaught(failed: threading.ExceptHookArgs) -> None:
    kind, where = failed.exc_type, "of unknown name" if failed.thread is None else failed.thread.name
    if failed.exc_value is not None and not issubclass(kind, SystemExit):
        logger.opt(exception=failed.exc_value).error("thread {} ended with {}", where, kind.__name__)


def _scrubbed(record: Record, scrub: Callable[[str], str]) -> None:
    record["message"] = scrub(record["message"])


def _named(record: Record, name: str) -> None:
    record["name"] = name


class _Others(logging.Handler):
    """Hands what the standard library's logging is told to this log."""

    def emit(self, record: logging.LogRecord) -> None:
        """Log one record under the name of its own logger."""
        known = record.levelname if record.levelname in ("WARNING", "ERROR", "CRITICAL") else "WARNING"
        named = logger.patch(lambda ours: _named(ours, record.name))
        named.opt(exception=record.exc_info).log(known, "{}", record.getMessage())
