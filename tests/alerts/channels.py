"""Channels for tests: one in memory, and what an alert's row says."""

from collections.abc import Callable, Iterable

from actors import addresses
from actors.notifier import NotifierActor, Post
from core.alerts.channel import Rate
from core.messages import Persist
from core.records import AlertRecord
from tests.actors_data.builders import OPENS_MS, Stage

PLENTY = Rate(burst=1_000, per_s=1_000.0)


class Heard:
    """Keeps what it is sent; `answers` are, one a message, what it returns or raises instead of taking it."""

    def __init__(
        self,
        name: str = "heard",
        answers: Iterable[float | BaseException] = (),
        *,
        longest: int = 1_000,
        rate: Rate = PLENTY,
        now_ms: Callable[[], int] = lambda: 0,
    ) -> None:
        self.name, self.longest, self.rate = name, longest, rate
        self._answers = iter(answers)
        self._now_ms = now_ms
        self.sent: list[str] = []
        self.at_ms: list[int] = []
        self.tried = 0

    def send(self, text: str) -> float:
        self.tried += 1
        answer = next(self._answers, 0.0)
        if isinstance(answer, BaseException):
            raise answer
        self.sent.append(text)
        self.at_ms.append(self._now_ms())
        return answer

    @property
    def lines(self) -> list[str]:
        """Every line sent, without its time."""
        return [line.split(" ", 1)[1] for text in self.sent for line in text.split("\n")]


def play(post: Post | None, *, work_ms: int = 0, now_ms: int = OPENS_MS) -> Stage:
    """Return a stage with the notifier under test and a recorder that listens."""
    stage = Stage(now_ms, work_ms=work_ms)
    stage.listen(addresses.DB_WRITER)
    stage.play(addresses.NOTIFIER, lambda context: NotifierActor(context, 7, post))
    return stage


def rows(stage: Stage) -> list[AlertRecord]:
    """Return the rows of alerts in the order they were written."""
    written = [row for said in stage.told(addresses.DB_WRITER, Persist) for row in said.rows]
    return [row for row in written if isinstance(row, AlertRecord)]


def deliveries(stage: Stage) -> dict[str, str]:
    """Return what the table would say became of each alert, by its text."""
    return {row.text: row.delivery for row in rows(stage)}
