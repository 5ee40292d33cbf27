"""One websocket connection: reads what the client says, and sends what its channel has due on a fixed beat.

Nothing is queued for a client: a slow one holds up its own beat only, gets the newest state when it is back, and is
let go when a single frame cannot be delivered for ten seconds. A fault plan may drop a connection, cut it within a
frame, or freeze it: then it answers PING and nothing else for a while.
"""

import asyncio
from collections.abc import Callable
from typing import Protocol

from starlette.websockets import WebSocket, WebSocketDisconnect

from venues.sim.exchange import Clock
from venues.sim.streams.protocol import cutter
from venues.sim.transport import SocketFault

_SEND_TIMEOUT_S = 10.0
_UNREAD = 64
_PONG = "PONG"
_POLICY_VIOLATION, _SERVICE_RESTART = 1008, 1012

Misbehave = Callable[[str], tuple[SocketFault, int] | None]
"""Given a socket's path, whether a fault strikes it now, and for how many milliseconds."""


class Refused(Exception):  # noqa: N818 -- not an error of ours: the client may not have what it asks for
    """The client is not let in; its connection is closed."""


class Channel(Protocol):
    """What a connection is about."""

    beat_ms: int

    def receive(self, text: str, now_ms: int) -> list[str]:
        """Return the replies to one text frame of the client's; what makes no sense gets none. May raise Refused."""
        ...

    def due(self, now_ms: int) -> list[str]:
        """Return the frames that came due since the last call."""
        ...


async def serve(socket: WebSocket, channel: Channel, now_ms: Clock, misbehave: Misbehave = lambda _: None) -> None:
    """Run one connection until the client leaves, a fault ends it, or it reads so slowly that it is dropped."""
    await socket.accept()
    inbox: asyncio.Queue[str | None] = asyncio.Queue(_UNREAD)
    reader = asyncio.create_task(_read(socket, inbox))
    try:
        await _write(socket, channel, inbox, now_ms, misbehave)
    except (WebSocketDisconnect, TimeoutError):
        return  # gone, or not reading: either way there is nobody left to tell
    except Refused:
        await socket.close(_POLICY_VIOLATION)
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


async def _write(
    socket: WebSocket, channel: Channel, inbox: asyncio.Queue[str | None], now_ms: Clock, misbehave: Misbehave
) -> None:
    beat = channel.beat_ms
    next_ms = frozen_until_ms = now_ms()
    held: list[str] = []
    while True:
        now = now_ms()
        if now >= next_ms:
            next_ms = now - now % beat + beat
            if now >= frozen_until_ms:
                held += channel.due(now)
                fault = misbehave(socket.url.path) if held else None
                if fault is None:
                    await _send(socket, held)
                    held = []
                elif fault[0] == "freeze_socket":
                    frozen_until_ms = now + fault[1]
                else:
                    await _break(socket, fault[0])
                    return
        try:
            async with asyncio.timeout(max(0.0, (next_ms - now_ms()) / 1000)):
                text = await inbox.get()
        except TimeoutError:
            continue  # the beat
        if text is None:
            return
        replies = channel.receive(text, now_ms())
        if now_ms() < frozen_until_ms and replies != [_PONG]:
            held += replies
        else:
            await _send(socket, replies)


async def _break(socket: WebSocket, fault: SocketFault) -> None:
    if fault == "cut_frame":
        cutter(socket)()
    else:
        await socket.close(_SERVICE_RESTART)


async def _send(socket: WebSocket, frames: list[str]) -> None:
    for frame in frames:
        async with asyncio.timeout(_SEND_TIMEOUT_S):
            await socket.send_text(frame)


def endpoint(
    make: Callable[[WebSocket], Channel], now_ms: Clock, misbehave: Misbehave
) -> Callable[[WebSocket], object]:
    """Return a websocket endpoint that serves a new channel to each connection."""

    async def connected(socket: WebSocket) -> None:
        await serve(socket, make(socket), now_ms, misbehave)

    return connected
