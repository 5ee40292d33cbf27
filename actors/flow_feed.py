"""The feed of one asset's order flow at the fast venue: trades, touch and candles in, what the features need out."""

from collections.abc import Callable, Sequence

from actors import addresses
from actors.feed import EPOCHS_PER_INCARNATION, FeedActor
from core.errors import FuseboxError
from core.market.events import BinanceEvent, Kline, MarketEvent
from core.market.flow import FlowState
from core.messages import (
    FlowPublished,
    Tick,
    ViewsRequested,
)
from core.runtime.context import Context
from core.runtime.message import WorkDone, WorkFailed
from core.runtime.stream import Stream

PUBLISH_EVERY_MS = 50
SEED_RETRY_S = 10.0


class FlowFeedActor(FeedActor):
    """Reduces the fast venue's trades, touch and candles to the flow that the features need."""

    venue = "binance"

    def __init__(
        self,
        context: Context,
        asset: str,
        open_streams: Callable[[], Sequence[Stream]],
        seed: Callable[[], tuple[Kline, ...]] | None,
        *,
        window_scale: float,
        log: Callable[[str], None],
    ) -> None:
        super().__init__(context, asset, log)
        self._open_streams = open_streams
        self._keys: tuple[str, ...] = ()
        self._seed = seed
        self._flow = FlowState(asset, window_scale, epoch=context.incarnation * EPOCHS_PER_INCARNATION)
        self._published_ms = 0
        self._seed_failed = False

    def on_start(self) -> None:
        """Open the streams, and fetch past candles to warm the long lookbacks."""
        streams = self._open_streams()
        self._keys = tuple(f"flow {number}" for number in range(len(streams)))
        for key, stream in zip(self._keys, streams, strict=True):
            self.context.open_stream(key, stream)
        self._ask_for_candles()
        self.pulse()

    def other(self, message: object) -> None:
        """Take the candles; publish for a reader that has just started."""
        match message:
            case ViewsRequested():
                if self._data_ms is not None:
                    self._publish(self.context.clock.now_ms())
            case WorkDone(value=tuple() as klines):
                self._flow.seed(klines)
            case WorkFailed(error=FuseboxError() as error):
                if not self._seed_failed:
                    self._seed_failed = True
                    self._log(f"{self.context.address} starts without past candles: {error}; trying again")
                self.context.timer("seed", SEED_RETRY_S, Tick("seed"))
            case WorkFailed(error=error):
                raise error
            case Tick(name="seed"):
                self._ask_for_candles()

    def follows(self, key: str) -> bool:
        """Return True for every stream that was opened: none is closed while the actor lives."""
        return key in self._keys

    def current(self) -> tuple[str, ...]:
        """Return all streams: trades and touch may come by two."""
        return self._keys

    def opened(self, key: str) -> None:  # noqa: ARG002 -- all streams feed one flow
        """Start a new continuity epoch."""
        self._flow.restart_epoch()

    def events(self, key: str, events: tuple[MarketEvent, ...], received_ms: int) -> None:  # noqa: ARG002 -- all streams feed one flow
        """Apply a frame, and publish the flow at most once per `PUBLISH_EVERY_MS`."""
        for event in events:
            if isinstance(event, BinanceEvent):
                self._flow.apply(event, received_ms)
        if received_ms - self._published_ms >= PUBLISH_EVERY_MS:
            self._publish(received_ms)

    def pulse(self) -> None:
        """Publish too: the last frames of a burst were throttled, and in a lull the flow decays without any."""
        if self._data_ms is not None:
            self._publish(self.context.clock.now_ms())
        super().pulse()

    def _publish(self, at_ms: int) -> None:
        view = self._flow.view(at_ms)
        if view is not None:
            self._published_ms = at_ms
            self.context.tell(addresses.market(self.asset), FlowPublished(view))

    def _ask_for_candles(self) -> None:
        if self._seed is not None:
            self.context.work("seed", self._seed, lane="rest")
