"""Holds a live run's ledger, as the exchange wrote it, against the limits by record, each close against rows."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import msgspec

from bench.safety.bounds import SLACK_USD, Bounds, beyond
from bench.safety.live_log import Log, Sent
from bench.safety.stakes import UNIT, Stakes
from venues.sim.trading.ledger_file import LedgerFile
from venues.sim.trading.records import USD, Accepted, Ended, Opened, Record, Resolved, Staged, Traded
from venues.sim.trading.state import State

MINUTE_MS = 60_000
ARRIVES_WITHIN_MS = 1_500
"""An order reaches the exchange this long after its hand-over, and is judged by the trader's clock before."""
HELD = "held to settlement"
LOSSES = ("daily loss", "session drawdown", "consecutive losses")


class Rows(msgspec.Struct, frozen=True):
    """What the tables say: (status, detail) of exits, slugs by condition id, alerts by kind, trades by their exit."""

    exits: tuple[tuple[str, str], ...]
    conditions: Mapping[str, str]
    alerts: Mapping[str, int]
    trades: Mapping[str, int]


class Findings(msgspec.Struct):
    """What was looked at, what it came to, and every promise that was broken."""

    broken: list[str] = []
    counts: Counter[str] = msgspec.field(default_factory=Counter)
    largest: dict[str, int] = {}
    trips: Counter[str] = msgspec.field(default_factory=Counter)

    def most(self, what: str, value: int) -> None:
        """Note a value that may be the largest."""
        self.largest[what] = max(value, self.largest.get(what, 0))


class Ledger:
    """The exchange's file, played back; `look` goes through it once."""

    def __init__(self, records: Iterable[Record], bounds: Bounds, window_s: int, log: Log, rows: Rows) -> None:
        self._records = records
        self._bounds, self._window_s = bounds, window_s
        self._log, self._rows = log, rows
        self._state = State()
        self._stakes = Stakes(undone=True)
        self._account = ""
        self._opened_ms: list[int] = []
        self._tokens: dict[tuple[str, str], str] = {}
        self._closes: dict[str, int] = {}
        self._undone: set[str] = set()
        self._sold: dict[str, bool] = {}
        self.found = Findings()

    def look(self) -> Findings:
        """Return what is found."""
        for record in self._records:
            at_ms = getattr(record, "at_ms", None)
            if at_ms is not None:
                self._close_windows(at_ms)
            self._state.apply(record)
            match record:
                case Opened():
                    self._account = record.account
                case Accepted():
                    self._accepted(record)
                case Traded():
                    self._traded(record, 1)
                case Staged(status="FAILED"):
                    self._failed(record)
                case Resolved():
                    token = self._tokens.get((record.slug, record.winner), "")
                    self._stakes.paid(record.slug, token)
                case Ended():
                    self._pending(record.order_id)
        self._check_gate()
        return self.found

    # -- orders -------------------------------------------------------------------------------------------------

    def _accepted(self, record: Accepted) -> None:
        order, bounds, found = record.order, self._bounds, self.found
        slug = record.slug
        self._tokens[slug, record.outcome] = order.token_id
        self._closes[slug] = (_opens_s(slug) + self._window_s) * 1000
        sent = self._log.sent.get(order.order_id)
        found.counts["orders"] += 1
        if sent is None:
            self._break(order.order_id, "not in the log", slug)
        else:
            self._check_slippage(record, sent)
        if order.side == "SELL":
            return
        found.counts["opening orders"] += 1
        if self._stakes.shares(slug):
            self._break(order.order_id, "one position", f"{slug} is held already: {self._stakes.shares(slug)}")
        self._pending(order.order_id)
        found.most("trade", order.maker_amount)
        if order.maker_amount > bounds.trade_usd + SLACK_USD:
            self._break(order.order_id, "trade size", f"{order.maker_amount / UNIT:.2f} USD")
        if not bounds.min_price <= record.price <= bounds.max_price:
            self._break(order.order_id, "price", f"{record.price / UNIT:.3f}")
        left_ms = self._closes[slug] - (record.at_ms - ARRIVES_WITHIN_MS if sent is None else sent.sent_ms)
        if left_ms < bounds.min_left_s * 1000:
            self._break(order.order_id, "time left", f"{left_ms / 1000:.2f} s")
        sent_ms = record.at_ms if sent is None else sent.sent_ms
        self._opened_ms = [*(at for at in self._opened_ms if sent_ms - at < MINUTE_MS), sent_ms]
        found.most("openings a minute", len(self._opened_ms))
        if len(self._opened_ms) > bounds.per_minute:
            self._break(order.order_id, "orders a minute", str(len(self._opened_ms)))
        self._check_use(order.order_id, slug)

    def _check_slippage(self, record: Accepted, sent: Sent) -> None:
        if sent.forced or sent.decision_price is None:
            return
        worse = (record.price - sent.decision_price) * (1 if record.order.side == "BUY" else -1)
        self.found.most("slippage", worse)
        if worse > self._bounds.slippage:
            self._break(record.order.order_id, "slippage", f"{worse / UNIT:.3f} worse than decided")

    def _pending(self, order_id: str) -> None:
        order = self._state.orders.get(order_id)
        if order is None or order.new.account != self._account or order.new.side != "BUY":
            return
        left, dollars = order.new.maker_amount - order.given if order.is_open else 0, order.new.maker_amount
        self._stakes.ordered(order_id, _asset(order.slug), order.slug, left + order.fee_reserve * left // dollars)

    def _traded(self, record: Traded, times: int) -> None:
        legs = [leg for leg in record.legs if leg.account == self._account]
        tokens = {leg.asset for leg in legs if leg.asset != USD}
        usd = -sum(leg.amount for leg in legs if leg.asset == USD)
        for token in tokens:
            shares = sum(leg.amount for leg in legs if leg.asset == token)
            change = times * shares, times * usd
            self._stakes.filled(_asset(record.slug), record.slug, token, *change, returns=times < 0)
        for order_id in (record.taker_order_id, *(maker.order_id for maker in record.makers)):
            self._pending(order_id)
        if times > 0:
            self.found.counts["trades"] += 1
            self._check_use(record.taker_order_id, record.slug)

    def _failed(self, record: Staged) -> None:
        """Take back a trade whose settlement failed; a sale that did brings back what was sold."""
        self.found.counts["trades that failed"] += 1
        self._undone.add(record.trade_id)
        made = self._state.trades[record.trade_id].made
        before = self._stakes.shares(made.slug)
        self._traded(made, -1)
        if self._stakes.shares(made.slug) and not before and record.at_ms > self._closes.get(made.slug, 2**62):
            self.found.counts["sales that failed after the close"] += 1

    def _check_use(self, order_id: str, slug: str) -> None:
        use = self._stakes.use(slug, _asset(slug))
        for what, value in (
            ("position", use.market_usd), ("asset exposure", use.asset_usd), ("total exposure", use.total_usd),
            ("positions", use.markets),
        ):  # fmt: skip
            self.found.most(what, value)
        wrong = beyond(use, self._bounds)
        if wrong is not None:
            self._break(order_id, "limits", wrong)

    # -- ends of windows ----------------------------------------------------------------------------------------

    def _close_windows(self, until_ms: int) -> None:
        for slug in [slug for slug, closes_ms in self._closes.items() if closes_ms < until_ms]:
            self._window_ends(slug)
            del self._closes[slug]

    def _window_ends(self, slug: str) -> None:
        counts, held = self.found.counts, self._stakes.shares(slug)
        counts["windows with orders"] += 1
        if not held:
            counts["flat at the close"] += 1
            return
        condition_id = next((key for key, known in self._rows.conditions.items() if known == slug), "?")
        noted = [detail for status, detail in self._rows.exits if status.startswith(HELD) and condition_id in detail]
        if noted:
            counts["written down as held to settlement"] += 1
        else:
            shares = ", ".join(f"{each / UNIT:.2f}" for each in held.values())
            self._break(slug, "unmanaged", f"{shares} shares at the close of {condition_id}, nobody wrote it down")

    # -- the gate -----------------------------------------------------------------------------------------------

    def _check_gate(self) -> None:
        """Check that no opening was handed over at a number at which a hold lay on its asset; and count trips."""
        for sent in self._log.sent.values():
            self.found.counts["hand-overs"] += 1
            holds = self._log.holds_at(sent.gate_sequence)
            shut = [hold for hold in holds if hold[0] in ("", sent.asset)]
            closed = [hold for hold in shut if hold[1] == "closed"]
            if (sent.action == "OPEN" and shut) or closed:
                self._break(sent.order_id, "gate", f"{sent.action} at number {sent.gate_sequence}, shut by {shut}")
        numbers = sorted(self._log.gates)
        for before, number in zip([None, *numbers], numbers, strict=False):
            had = {rest for _, _, rest in self._log.gates.get(before, ())} if before is not None else set()
            for _, _, rest in self._log.gates[number]:
                reason = next((reason for reason in LOSSES if rest.startswith(reason)), None)
                if reason is not None and rest not in had:
                    self.found.trips[reason] += 1

    def _break(self, subject: str, promise: str, text: str) -> None:
        self.found.broken.append(f"{promise}: {subject}: {text}")


def records_of(path: Path) -> Iterator[Record]:
    """Yield what an exchange's ledger file holds; a last line that is still being written is left out."""
    text = path.read_bytes()
    whole = text[: text.rfind(b"\n") + 1]
    header = msgspec.json.decode(whole.splitlines()[0])["ledger_of"]
    copy = path.with_suffix(".looked-at")
    copy.write_bytes(whole)
    try:
        file = LedgerFile(copy)
        records = file.open(header)
        file.close()
        yield from records
    finally:
        copy.unlink()


def _opens_s(slug: str) -> int:
    return int(slug.rpartition("-")[2])


def _asset(slug: str) -> str:
    return slug.partition("-")[0].upper()
