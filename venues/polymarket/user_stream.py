"""The user channel: what happens to our orders and trades, as a stream like the market channel's."""

from collections.abc import Callable, Sequence
from random import Random
from typing import cast

import msgspec

from core.runtime.stream import StopSignal
from venues.polymarket.account_values import UserEvent
from venues.polymarket.credentials import ApiKey
from venues.polymarket.user_decode import decode_user_frame
from venues.stream import Stream, StreamTimings
from venues.transport import (
    BadFrame,
    DecodedFrame,
    StreamClosed,
    StreamMessage,
    StreamOpened,
    StreamReceived,
    UnknownEvent,
)

USER_PING_S = 10.0


class UserReceived(msgspec.Struct, frozen=True):
    """The events of one frame, in the frame's order."""

    events: tuple[UserEvent, ...]
    received_ms: int


UserMessage = StreamOpened | UserReceived | StreamClosed | BadFrame | UnknownEvent


class UserStream:
    """The user channel as a blocking worker: `run` emits until it is stopped. Nothing a venue does ends it.

    No event is owed while nothing is in flight, so silence counts only while `expects` says that something is; the
    answers to PING count otherwise. After each `StreamOpened` what happened meanwhile has to be read by REST.

    Args:
        url: the channel, `wss://…/ws/user`.
        api_key: of the account; goes out in the first frame and nowhere else.
        condition_ids: the markets to hear of; none is all of them.
        now_ms: the clock for receipt stamps, unix ms.
        expects: whether an order is in flight.
        silence_s: seconds of silence after which the connection is replaced.
        timings: all waits, in place of `silence_s` and the venue's 10 s ping.
        random: the source of backoff jitter.

    Raises:
        RejectedError: when `url` is no websocket URL.
    """

    def __init__(
        self,
        url: str,
        api_key: ApiKey,
        condition_ids: Sequence[str],
        now_ms: Callable[[], int],
        *,
        expects: Callable[[], bool] = lambda: True,
        silence_s: float = 30.0,
        timings: StreamTimings | None = None,
        random: Random | None = None,
    ) -> None:
        self._api_key = api_key
        self._condition_ids = tuple(condition_ids)
        self._stream = Stream(
            url,
            (self._subscription,),
            _decoded,
            now_ms,
            timings or StreamTimings(silence_s=silence_s, ping_every_s=min(USER_PING_S, silence_s / 3)),
            random=random,
            expects=expects,
        )

    def run(self, emit: Callable[[UserMessage], None], stop: StopSignal) -> None:
        """Connect, subscribe and emit until `stop` is set."""

        def translated(message: StreamMessage) -> None:
            match message:
                case StreamReceived():
                    emit(UserReceived(cast("tuple[UserEvent, ...]", message.events), message.received_ms))
                case StreamClosed():
                    emit(StreamClosed(self._api_key.scrubbed(message.reason), message.at_ms))
                case BadFrame():
                    emit(BadFrame(self._api_key.scrubbed(message.reason), message.count))
                case _:
                    emit(message)

        self._stream.run(translated, stop)

    def _subscription(self) -> str:
        key = self._api_key
        auth = {
            "apiKey": key.key.reveal(),
            "secret": key.secret.reveal(),
            "passphrase": key.passphrase.reveal(),
        }
        frame: dict[str, object] = {"auth": auth, "type": "user"}
        if self._condition_ids:
            frame["markets"] = self._condition_ids
        return msgspec.json.encode(frame).decode()


def _decoded(data: bytes) -> DecodedFrame:
    # a `Stream` hands events on unread: that they are account events, not the market's, is between the two of us
    return cast("DecodedFrame", decode_user_frame(data))
