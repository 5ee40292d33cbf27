"""Small pieces of HTTP: JSON out, a bounded body in, numbers of a query within their bounds."""

from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

LARGEST_BODY = 4096


class BadRequestError(ValueError):
    """Raised for what a client asked that cannot be; the text is for it."""


def answer(value: object, status: int = 200) -> Response:
    """Return a value as JSON; decimals become strings, what is no number null."""
    return Response(msgspec.json.encode(value), status, media_type="application/json")


def refused(status: int, error: str) -> Response:
    """Return why not."""
    return answer({"ok": False, "error": error}, status)


async def raw_body(request: Request) -> bytes | None:
    """Return a body of at most 4 KB, None for a larger one, of which no more is read."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > LARGEST_BODY:
            return None
    return body


async def body_of(request: Request) -> Any:
    """Return what a small JSON body says, None for anything else."""
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        return None
    body = await raw_body(request)
    try:
        return None if body is None else msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError):
        return None


def number(request: Request, name: str, default: int, smallest: int, largest: int) -> int:
    """Return a whole number of the query.

    Raises:
        BadRequestError: it is none, or out of bounds.
    """
    text = request.query_params.get(name)
    if text is None or text == "":
        return default
    if not text.isascii() or not text.isdigit() or len(text) > len(str(largest)):
        raise BadRequestError(f"{name} is a whole number from {smallest} to {largest}")
    value = int(text)
    if not smallest <= value <= largest:
        raise BadRequestError(f"{name} is a whole number from {smallest} to {largest}")
    return value


def word(request: Request, name: str, known: tuple[str, ...]) -> str:
    """Return one of the known words of the query, or nothing.

    Raises:
        BadRequestError: it is another.
    """
    text = request.query_params.get(name, "")
    if text and text not in known:
        raise BadRequestError(f"{name} is one of {', '.join(known)}, or left out")
    return text
