"""Reading a venue's REST interface: explicit time-outs, a User-Agent of our own, every failure as one of our errors."""

from collections.abc import Mapping
from typing import TypeVar

import httpx
import msgspec

from core.errors import RejectedError, TransientError
from venues.stream import USER_AGENT
from venues.transport import BadFrameError

T = TypeVar("T")
_NOT_FOUND = 404
_TRY_LATER = frozenset({408, 425, 429})
_SERVER_ERROR = 500
_OK = 200


class NotFoundError(RejectedError):
    """Raised when the venue does not know what was asked for (404)."""


class Rest:
    """GET requests against one base URL. Reading changes nothing, so a time-out is only transient.

    Args:
        base_url: such as `https://clob.polymarket.com`.
        timeout_s: for connecting and for each read, in seconds.
        transport: in place of httpx's own, for other ways to send.

    Raises:
        RejectedError: when `base_url` is no web URL.
    """

    def __init__(self, base_url: str, *, timeout_s: float = 5.0, transport: httpx.BaseTransport | None = None) -> None:
        if not base_url.startswith(("http://", "https://")):
            raise RejectedError(f"{base_url!r} is no web URL: it must begin with http:// or https://")
        self._client = httpx.Client(
            base_url=base_url.rstrip("/"),
            timeout=httpx.Timeout(timeout_s),
            headers={"User-Agent": USER_AGENT},
            transport=transport,
        )

    def get(self, path: str, answer: type[T], params: Mapping[str, str | int] | None = None) -> T:
        """Return the JSON at `path` as an `answer`.

        Raises:
            NotFoundError: for a 404.
            TransientError: for a refused connection, a time-out, 408, 425, 429, 5xx, and an answer that is not JSON.
            BadFrameError: for JSON of another shape.
            RejectedError: for any other status.
        """
        try:
            response = self._client.get(path, params=dict(params or {}))
        except (httpx.TransportError, httpx.DecodingError) as error:
            raise TransientError(f"GET {path}: {type(error).__name__}: {error}") from error
        status = response.status_code
        if status != _OK:
            said = " ".join(response.text.split())[:120]
            reason = f"GET {path}: HTTP {status}: {said}"
            if status == _NOT_FOUND:
                raise NotFoundError(reason)
            if status in _TRY_LATER or status >= _SERVER_ERROR:
                raise TransientError(reason)
            raise RejectedError(reason)
        try:
            # the venues write some numbers within strings
            return msgspec.json.decode(response.content, type=answer, strict=False)
        except msgspec.ValidationError as error:
            raise BadFrameError(f"GET {path}: the answer has another shape: {error}") from error
        except (msgspec.DecodeError, UnicodeError) as error:
            raise TransientError(f"GET {path}: the answer is not JSON: {error}") from error

    def close(self) -> None:
        """Close the pooled connections."""
        self._client.close()
