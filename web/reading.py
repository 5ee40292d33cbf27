"""What the page asks besides the stream: histories for its charts, rows for its tables."""

import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from core.errors import FuseboxError
from storage.page_rows import asset_history, equity_history, learner_curves, marks, realised_history
from storage.page_tables import MOST_ROWS, RESULTS, STATES, Asked, events, orders, trades
from storage.pool import Connection
from web.answers import BadRequestError, answer, number, refused, word
from web.database import Database

LATEST_MS = 10**14
DAY_MIN = 24 * 60
SIDES = ("UP", "DOWN")
LONGEST_TEXT = 80

Question = Callable[[Connection, Request, int], Mapping[str, Any]]
"""Asks a connection for what a request wants of a session."""


class Reading:
    """The endpoints below `/api` that only read; `session` is whose rows are shown unless the query names another."""

    def __init__(self, database: Database, session: Callable[[], int | None]) -> None:
        self._database = database
        self._session = session

    def routes(self) -> list[Route]:
        """Return one route a question."""
        questions: dict[str, Question] = {
            "asset": _asset,
            "marks": _marks,
            "equity": _equity,
            "learner": _learner,
            "trades": _trades,
            "orders": _orders,
            "events": _events,
        }
        return [Route(f"/api/{name}", self._endpoint(question)) for name, question in questions.items()]

    def _endpoint(self, question: Question) -> Callable[[Request], Any]:
        async def endpoint(request: Request) -> Response:
            try:
                session = number(request, "session", self._session() or 0, 0, 2**62)
                found = await run_in_threadpool(
                    self._database.answer, lambda connection: question(connection, request, session)
                )
            except BadRequestError as error:
                return refused(HTTPStatus.BAD_REQUEST, str(error))
            except FuseboxError as error:
                return refused(HTTPStatus.SERVICE_UNAVAILABLE, str(error))
            return answer(found)

        return endpoint


def _asset(connection: Connection, request: Request, session: int) -> Mapping[str, Any]:
    now_ms, asset = _now_ms(), _name(request)
    since_ms = now_ms - number(request, "minutes", 15, 1, DAY_MIN) * 60_000
    return {
        "session": session,
        "asset": asset,
        "samples": asset_history(connection, session, asset, since_ms, now_ms),
        "marks": marks(connection, session, asset, since_ms),
    }


def _marks(connection: Connection, request: Request, session: int) -> Mapping[str, Any]:
    since_ms = _now_ms() - number(request, "minutes", 15, 1, DAY_MIN) * 60_000
    return {"marks": marks(connection, session, _name(request), since_ms)}


def _equity(connection: Connection, request: Request, session: int) -> Mapping[str, Any]:
    now_ms = _now_ms()
    since_ms = now_ms - number(request, "minutes", DAY_MIN, 1, DAY_MIN) * 60_000
    return {
        "session": session,
        "marked": equity_history(connection, session, since_ms, now_ms),
        "realised": realised_history(connection, session),
    }


def _learner(connection: Connection, _request: Request, session: int) -> Mapping[str, Any]:
    return {"session": session, "curves": learner_curves(connection, session)}


def _trades(connection: Connection, request: Request, session: int) -> Mapping[str, Any]:
    return {"rows": trades(connection, _asked(request, session, tuple(RESULTS)))}


def _orders(connection: Connection, request: Request, session: int) -> Mapping[str, Any]:
    return {"rows": orders(connection, _asked(request, session, tuple(STATES)))}


def _events(connection: Connection, request: Request, session: int) -> Mapping[str, Any]:
    return {"rows": events(connection, _asked(request, session, ()))}


def _asked(request: Request, session: int, kinds: tuple[str, ...]) -> Asked:
    return Asked(
        session_id=session,
        before_ms=number(request, "before", LATEST_MS, 0, LATEST_MS),
        most=number(request, "most", 50, 1, MOST_ROWS),
        asset=_name(request),
        side=word(request, "side", SIDES),
        kind=word(request, "kind", kinds),
        text=_text(request),
    )


def _name(request: Request) -> str:
    name = request.query_params.get("asset", "")
    if name and not (name.isascii() and name.isalnum() and len(name) <= 12):  # noqa: PLR2004 - longer than any ticker
        raise BadRequestError("asset is a ticker, such as BTC")
    return name.upper()


def _text(request: Request) -> str:
    text = request.query_params.get("text", "")
    if len(text) > LONGEST_TEXT or not text.isprintable():
        raise BadRequestError(f"text is at most {LONGEST_TEXT} printable characters")
    return text


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
