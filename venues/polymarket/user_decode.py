"""Frames of the user channel as typed events: our orders and our trades."""

import msgspec

from venues.polymarket.account_decode import Number, WireOrder, WireTrade, instant_ms, order_of, trade_of
from venues.polymarket.account_values import OrderUpdate, TradeUpdate, UserEvent
from venues.transport import BadFrameError


class DecodedUserFrame(msgspec.Struct, frozen=True):
    """The events of one frame in order, and the event types nobody knows."""

    events: tuple[UserEvent, ...] = ()
    unknown: tuple[str, ...] = ()


class _Head(msgspec.Struct):
    event_type: str = ""
    type: str = ""
    timestamp: Number = None


_frames = msgspec.json.Decoder(list[msgspec.Raw])
_heads = msgspec.json.Decoder(_Head)
_orders = msgspec.json.Decoder(WireOrder)
_trades = msgspec.json.Decoder(WireTrade)


def decode_user_frame(data: str | bytes) -> DecodedUserFrame:
    """Return the events of one frame (one object or an array).

    Raises:
        BadFrameError: when the frame cannot be read; nothing else.
    """
    try:
        text = data.encode() if isinstance(data, str) else data
        objects = _frames.decode(text) if text.lstrip()[:1] == b"[" else [msgspec.Raw(text)]
        heads = [_heads.decode(one) for one in objects]
        events: list[UserEvent] = []
        unknown: list[str] = []
        for head, raw in zip(heads, objects, strict=True):
            match head.event_type:
                case "order":
                    events.append(OrderUpdate(head.type, order_of(_orders.decode(raw)), instant_ms(head.timestamp)))
                case "trade":
                    events.append(TradeUpdate(trade_of(_trades.decode(raw)), instant_ms(head.timestamp)))
                case "":
                    raise BadFrameError("user frame without event_type")
                case kind:
                    unknown.append(kind[:100])
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise BadFrameError(f"user frame is unreadable: {error}") from error
    return DecodedUserFrame(tuple(events), tuple(unknown))
