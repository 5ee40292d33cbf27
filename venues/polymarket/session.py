"""Authenticated calls to the CLOB: the exact bytes that were signed are those that are sent."""

from collections.abc import Iterator, Mapping
from typing import Protocol, TypeVar
from urllib.parse import urlencode

import msgspec

from core.errors import TransientError, UnknownOutcomeError
from venues.polymarket.connection import Answer, Connections, HandOver
from venues.polymarket.credentials import ApiKey
from venues.polymarket.order_errors import refusal, said
from venues.rest import NotFoundError
from venues.transport import BadFrameError

T = TypeVar("T")
FIRST_PAGE = "MA=="
LAST_PAGE = "LTE="
OK = 200
NOT_FOUND = 404
_MOST_PAGES = 1000


class Authenticator(Protocol):
    """Signs requests; `auth.Level2` is the one."""

    @property
    def api_key(self) -> ApiKey:
        """The key in use."""
        ...

    def headers(self, method: str, path: str, body: bytes) -> dict[str, str]:
        """Return the headers for exactly these bytes; `path` without its query."""
        ...


class Page(msgspec.Struct):
    """One page of a list; the objects are decoded one by one, so that a strange one does not hide the others."""

    data: list[msgspec.Raw]
    next_cursor: str = LAST_PAGE


class Session:
    """Requests in the name of one API key. Safe from any thread; every call blocks, so workers make them."""

    def __init__(self, connections: Connections, authenticator: Authenticator) -> None:
        self.connections = connections
        self._authenticator = authenticator

    @property
    def api_key(self) -> ApiKey:
        """The key in use."""
        return self._authenticator.api_key

    def send(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        params: Mapping[str, str | int] | None = None,
        hand_over: HandOver | None = None,
    ) -> Answer:
        """Send one signed request and return the answer, whatever its status; errors as `Connections.request`."""
        headers = self._authenticator.headers(method, path, body)
        query = f"?{urlencode(params)}" if params else ""
        answer = self.connections.request(method, path + query, headers, body, hand_over)
        # what a venue echoes ends in errors and logs
        if answer.status != OK:
            text = self.api_key.scrubbed(answer.body.decode(errors="replace"))
            answer = msgspec.structs.replace(answer, body=text.encode())
        return answer

    def read(self, path: str, params: Mapping[str, str | int] | None = None) -> Answer:
        """Return the successful answer to a GET. Reading changes nothing, so what is unclear is only transient.

        Raises:
            NotFoundError: for a 404.
            TransientError: when the venue could not be asked or asks to wait.
            OrderRejectedError: when it refused, such as for wrong keys.
        """
        try:
            answer = self.send("GET", path, params=params)
        except UnknownOutcomeError as error:
            raise TransientError(str(error)) from error
        if answer.status == OK:
            return answer
        if answer.status == NOT_FOUND:
            raise NotFoundError(f"GET {path}: HTTP 404: {said(answer) or 'not found'}")
        refused = refusal(answer)
        if isinstance(refused, UnknownOutcomeError):
            raise TransientError(f"GET {path}: {refused}")
        raise refused

    def get(self, path: str, kind: type[T], params: Mapping[str, str | int] | None = None) -> T:
        """Return the JSON at `path`; errors as `read`, and BadFrameError for JSON of another shape."""
        return decoded(self.read(path, params), kind, f"GET {path}")

    def pages(self, path: str, params: Mapping[str, str | int]) -> Iterator[msgspec.Raw]:
        """Yield every object of a list that comes in pages; errors as `get`."""
        cursor = FIRST_PAGE
        for _ in range(_MOST_PAGES):
            page = self.get(path, Page, {**params, "next_cursor": cursor})
            yield from page.data
            if page.next_cursor in {LAST_PAGE, ""}:
                return
            if page.next_cursor == cursor:
                raise BadFrameError(f"GET {path}: page {cursor} names itself as the next one")
            cursor = page.next_cursor
        raise BadFrameError(f"GET {path}: more than {_MOST_PAGES} pages")


def decoded(answer: Answer, kind: type[T], what: str) -> T:
    """Return an answer's JSON as `kind`.

    Raises:
        BadFrameError: for JSON of another shape.
        TransientError: for what is no JSON.
    """
    try:
        return msgspec.json.decode(answer.body, type=kind, strict=False)
    except msgspec.ValidationError as error:
        raise BadFrameError(f"{what}: the answer has another shape: {error}") from error
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise TransientError(f"{what}: the answer is not JSON: {error}") from error
