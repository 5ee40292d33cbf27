"""What an operator does on the page: the same commands that the command line gives, by whoever hands them in."""

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, Protocol

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from core.errors import FuseboxError, RejectedError, TransientError, UnknownOutcomeError
from web.answers import answer, body_of, refused

LONGEST_REASON = 200


class Outcome(msgspec.Struct, frozen=True):
    """What came of it, in a sentence, with more lines where there is more to say."""

    said: str
    lines: list[str] = []


class Commands(Protocol):
    """How a command reaches the process that trades, or what is stored where none does.

    Each raises FuseboxError where it was refused or nobody answered.
    """

    def restart(self, name: str) -> Outcome:
        """Replace an asset's actors, or one actor."""
        ...

    def halt(self, reason: str) -> Outcome:
        """Close the gate."""
        ...

    def resume(self, reason: str) -> Outcome:
        """Lift what only a person lifts."""
        ...

    def flatten(self, asset: str) -> Outcome:
        """Have what is held sold, in one asset or in all."""
        ...


STATUS_OF: tuple[tuple[type[FuseboxError], int], ...] = (
    (RejectedError, HTTPStatus.CONFLICT),
    (UnknownOutcomeError, HTTPStatus.GATEWAY_TIMEOUT),
    (TransientError, HTTPStatus.SERVICE_UNAVAILABLE),
)


class Actions:
    """The endpoint `/api/actions/NAME`: a small JSON object in, an outcome or an error out."""

    def __init__(self, commands: Commands, log: Callable[[str], None]) -> None:
        self._log = log
        self._known: dict[str, tuple[str, bool, Callable[[str], Outcome]]] = {
            "restart": ("name", True, commands.restart),
            "halt": ("reason", False, commands.halt),
            "resume": ("reason", True, commands.resume),
            "flatten": ("asset", False, commands.flatten),
        }

    async def act(self, request: Request) -> Response:
        """Carry out one action and say what came of it."""
        name = request.path_params["name"]
        if name not in self._known:
            return refused(HTTPStatus.NOT_FOUND, f"there is no action {name!r}: {', '.join(self._known)}")
        field, needed, command = self._known[name]
        given = await body_of(request)
        if not isinstance(given, Mapping):
            return refused(HTTPStatus.BAD_REQUEST, "a small JSON object is needed")
        value = _text(given.get(field, ""))
        if value is None:
            return refused(HTTPStatus.BAD_REQUEST, f"{field} is a text of at most {LONGEST_REASON} characters")
        if needed and not value:
            return refused(HTTPStatus.BAD_REQUEST, f"{name} needs a {field}")
        try:
            outcome = await run_in_threadpool(command, value)
        except FuseboxError as error:
            self._log(f"{name} {value}: {error}")
            status = next((code for kind, code in STATUS_OF if isinstance(error, kind)), 500)
            return refused(status, str(error))
        self._log(f"{name} {value}: {outcome.said}")
        return answer({"ok": True, "said": outcome.said, "lines": outcome.lines})


def _text(value: Any) -> str | None:
    """Return a text on one line, without what could not be stored; None for anything else or more."""
    if not isinstance(value, str) or len(value) > LONGEST_REASON:
        return None
    return " ".join("".join(char if char.isprintable() else " " for char in value).split())
