"""The server's websocket protocol with one thing more: a connection can be cut in the middle of a frame."""

from collections.abc import Callable
from typing import Any, cast

from starlette.websockets import WebSocket
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

_EXTENSION = "sim.cut"
_TEXT_FRAME, _LENGTH_16 = 0x81, 126
_HALF_FRAME = b'{"event_type":"book","asset_id":"'
_ANNOUNCED_BYTES = 4_096


class CuttableProtocol(WebSocketsSansIOProtocol):
    """Hands each connection a way to end it rudely, in its ASGI scope."""

    async def run_asgi(self) -> None:
        """Serve the connection."""
        cast("dict[str, Any]", self.scope["extensions"])[_EXTENSION] = self._cut
        await super().run_asgi()

    def _cut(self) -> None:
        """Send the beginning of a text frame, then end the connection without a closing handshake."""
        header = bytes([_TEXT_FRAME, _LENGTH_16]) + _ANNOUNCED_BYTES.to_bytes(2, "big")
        self.transport.write(header + _HALF_FRAME)
        self.transport.close()


def cutter(socket: WebSocket) -> Callable[[], None]:
    """Return what cuts this connection. Raises KeyError when another server than ours serves it."""
    cut: Callable[[], None] = socket.scope["extensions"][_EXTENSION]
    return cut
