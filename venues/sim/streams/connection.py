"""One websocket connection: reads what the client says, and sends what its channel has due on a fixed beat.

Nothing is queued for a client: a slow one holds up its own beat only, gets the newest state when it is back, and is
let go when a single frame cannot be delivered for ten seconds.
"""

import asyncio
from collections.abc import Callable
from typing import Protocol

from starlette.websockets import WebSocket, WebSocketDisconnect

from venues.sim.exchange import Clock

_SEND_TIMEOUT_S = 10.0
_UNREAD = 64


class Channel(Protocol):
    """What a connection is about."""

    beat_ms: int

    def receive(self, text: str, now_ms: int) -> list[str]:
        """Return the replies to one text frame of the client's; what makes no sense gets none."""
        ...

    def due(self, now_ms: int) -> list[str]:
        """Return the frames that came due since the last call."""
        ...


async def serve(socket: WebSocket, channel: Channel, now_ms: Clock) -> None:
    """Run one connection until the client leaves, or reads so slowly that it is dropped."""
    await socket.accept()
    inbox: asyncio.Queue[str | None] = asyncio.Queue(_UNREAD)
    reader = asyncio.create_task(_read(socket, inbox))
    try:
        await _write(socket, channel, inbox, now_ms)
    except (WebSocketDisconnect, TimeoutError):
        return  # gone, or not reading: either way there is nobody left to tell
    finally:
        reader.cancel()


async def _read(socket: WebSocket, inbox: asyncio.Queue[str | None]) -> None:
    """Pass text frames on; a full inbox stops the reading, which stops the client. Ends with None."""
    while True:
        message = await socket.receive()
        if message["type"] == "websocket.disconnect":
            await inbox.put(None)
            return
        text = message.get("text")
        if text is not None:
            await inbox.put(text)


async def _write(socket: WebSocket, channel: Channel, inbox: asyncio.Queue[str | None], now_ms: Clock) -> None:
    beat = channel.beat_ms
    next_ms = now_ms()
    while True:
        now = now_ms()
        if now >= next_ms:
            next_ms = now - now % beat + beat
            await _send(socket, channel.due(now))
        try:
            async with asyncio.timeout(max(0.0, (next_ms - now_ms()) / 1000)):
                text = await inbox.get()
        except TimeoutError:
            continue  # the beat
        if text is None:
            return
        await _send(socket, channel.receive(text, now_ms()))


async def _send(socket: WebSocket, frames: list[str]) -> None:
    for frame in frames:
        async with asyncio.timeout(_SEND_TIMEOUT_S):
            await socket.send_text(frame)


def endpoint(make: Callable[[WebSocket], Channel], now_ms: Clock) -> Callable[[WebSocket], object]:
    """Return a websocket endpoint that serves a new channel to each connection."""

    async def connected(socket: WebSocket) -> None:
        await serve(socket, make(socket), now_ms)

    return connected
