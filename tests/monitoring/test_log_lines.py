"""Lines for programs: one each, whole, with every secret hidden."""

import json
import logging
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from loguru import logger

from cli.log_sinks import NAME, open_log
from cli.log_subject import Subject, subject_of
from cli.observing import OneOfAKind
from config.load import ConfigError, load_settings
from core.alerts.scrubbing import Scrubber
from core.messages import Persisted, Tick
from core.runtime.actor import Actor
from core.runtime.address import Address
from core.runtime.cell import Spec
from core.runtime.clock import SystemClock
from core.runtime.context import Context
from core.runtime.message import WorkDone
from core.runtime.threaded import ThreadedRuntime

HIDDEN = "ftw-8Kd!{x}"
Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def restored() -> Iterator[None]:
    """Give back what a log takes over from the process."""
    root, hook = logging.getLogger(), threading.excepthook
    handlers, level = list(root.handlers), logging.getLogger("psycopg").level
    yield
    logger.remove()
    logger.configure(patcher=lambda _record: None)
    root.handlers, threading.excepthook = handlers, hook
    logging.getLogger("psycopg").setLevel(level)
    logger.add(sys.stderr)


@pytest.fixture
def lines(tmp_path: Path, restored: None) -> Lines:
    """Open the log with JSON on standard output, and return what reads the file's lines."""
    return opened(tmp_path)


def opened(tmp_path: Path) -> Lines:
    settings = load_settings({"FUSEBOX_STATE_DIR": str(tmp_path), "FUSEBOX_LOG_FORMAT": "json"})
    open_log(settings, Scrubber((HIDDEN,)), None)
    return lambda: [json.loads(line) for line in (tmp_path / NAME).read_text().splitlines()]


def raised(text: str) -> ValueError:
    """Return an error that has been raised, with where that was."""
    with pytest.raises(ValueError) as caught:  # noqa: PT011 -- it is ours
        int(text)
    return ValueError(text).with_traceback(caught.tb)


def test_a_line_says_when_how_grave_who_and_what(lines: Lines) -> None:
    logger.bind(intent="1.BTC.5.1.7", price=0.5, probabilities=[0.1, 0.9]).info("{} is sent", "BTC")

    (line,) = lines()
    assert datetime.fromisoformat(line["at"]).utcoffset() is not None
    assert line["at"].endswith("Z")
    assert len(line["at"]) == len("2026-01-01T00:00:00.000Z")
    assert (line["level"], line["logger"], line["text"]) == ("INFO", __name__, "BTC is sent")
    assert (line["intent"], line["price"], line["probabilities"]) == ("1.BTC.5.1.7", 0.5, [0.1, 0.9])


def test_what_has_several_lines_is_one(lines: Lines) -> None:
    logger.warning("one\ntwo\u2028three {not} <red>a template</red>")
    logger.opt(exception=raised("four\nfive")).error("failed")

    first, second = lines()
    assert first["text"] == "one\ntwo\u2028three {not} <red>a template</red>"
    assert second["text"] == "failed"
    assert second["exception"].startswith("Traceback (most recent call last):\n")
    assert second["exception"].endswith("ValueError: four\nfive")


def test_numbers_that_json_does_not_know_are_texts(lines: Lines) -> None:
    logger.bind(value=float("nan"), path=Path("/x"), nested={"a": (1, None)}, text="taken").info("odd")

    (line,) = lines()
    assert (line["value"], line["path"], line["nested"]) == ("nan", "/x", {"a": [1, None]})
    assert (line["text"], line["text_"]) == ("odd", "taken")


@pytest.mark.usefixtures("restored")
def test_no_secret_reaches_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = opened(tmp_path)
    failed = logger.opt(exception=raised(f"refused {HIDDEN}"))
    failed.bind(url=f"postgresql://me:{HIDDEN}@host/x").error("with {}", HIDDEN)

    (line,) = lines()
    assert HIDDEN not in (tmp_path / NAME).read_text()
    shown = capsys.readouterr().out
    assert "with ***" in shown
    assert HIDDEN not in shown
    assert line["text"] == "with ***"
    assert "refused ***" in line["exception"]


@pytest.mark.usefixtures("restored")
def test_standard_output_has_the_same_lines_from_its_level_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = opened(tmp_path)
    logger.debug("for the file")
    logger.info("for both")

    assert [json.loads(line)["text"] for line in capsys.readouterr().out.splitlines()] == ["for both"]
    assert [line["text"] for line in lines()] == ["for the file", "for both"]


def test_other_libraries_warnings_and_threads_ends_are_lines_too(lines: Lines) -> None:
    logging.getLogger("websockets.client").warning("slow %s", "peer")
    logging.getLogger("websockets.client").info("connected")
    failing = threading.Thread(target=lambda: int("one"), name="stray")
    failing.start()
    failing.join()

    warning, ended = lines()
    assert (warning["logger"], warning["level"], warning["text"]) == ("websockets.client", "WARNING", "slow peer")
    assert ended["text"] == "thread stray ended with ValueError"
    assert "invalid literal for int" in ended["exception"]


def test_lines_for_people_stay_as_they_are(tmp_path: Path, restored: None, capsys: pytest.CaptureFixture[str]) -> None:
    settings = load_settings({"FUSEBOX_STATE_DIR": str(tmp_path), "FUSEBOX_LOG_FORMAT": "human"})
    open_log(settings, Scrubber(), None)
    logger.bind(intent="1.BTC.5.1.7").info("BTC is sent")

    assert capsys.readouterr().out.split(" ", 2)[2] == "INFO    BTC is sent\n"


@pytest.mark.usefixtures("restored")
def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    settings = load_settings({"FUSEBOX_STATE_DIR": str(tmp_path / "file")})

    with pytest.raises(ConfigError, match=r"FUSEBOX_STATE_DIR=.*: File exists: name a folder that can be written"):
        open_log(settings, Scrubber(), None)


class Teller(Actor):
    """Says that something was committed, as actors do: without naming an order."""

    def __init__(self, context: Context, log: Callable[[str], None]) -> None:
        super().__init__(context)
        self._log = log

    def receive(self, message: object) -> None:
        self._log(f"heard {type(message).__name__}")


def test_what_an_actor_says_carries_the_order_it_works_on(lines: Lines) -> None:
    system, address = ThreadedRuntime(SystemClock(), seed=0), Address("executor")
    log = OneOfAKind(subject=Subject(system))
    system.add(Spec(address, lambda context: Teller(context, log)))
    system.start(address)
    system.ask(address, Persisted("1.BTC.5.1.7.o"), 5.0)
    system.stop(5.0)
    log("outside")

    heard, outside = lines()
    assert (heard["intent"], heard["order"], heard["logger"]) == ("1.BTC.5.1.7", "1.BTC.5.1.7.o", __name__)
    assert "intent" not in outside


@pytest.mark.parametrize("order", ["1.BTC.5.1.7.o", "1.BTC.5.1.7.stale book.UP.o"])
@pytest.mark.parametrize("prefix", ["", "arrive ", "post "])
def test_an_order_is_known_by_what_a_timer_or_a_worker_is_called(prefix: str, order: str) -> None:
    about = {"order": order, "intent": order.removesuffix(".o")}

    assert subject_of(Tick(f"{prefix}{order}")) == subject_of(WorkDone(f"{prefix}{order}", None)) == about
    assert subject_of(Tick("grid")) == {}
