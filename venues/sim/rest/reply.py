"""A JSON reply encoded the way the websockets encode theirs."""

import msgspec
from starlette.responses import Response


def json_reply(value: object, status: int = 200) -> Response:
    """Return `value` as an HTTP reply in compact JSON."""
    return Response(msgspec.json.encode(value), status, media_type="application/json")
