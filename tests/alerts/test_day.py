"""The daily summary: at UTC midnight, from the rows, once, whoever dies; and its numbers."""

from collections.abc import Sequence

from actors import addresses
from actors.notifier import NotifierActor, Post
from core.alerts.daily import DAY_MS, day_of, summary
from core.errors import FatalError, RejectedError, TransientError
from core.market.market import Side
from core.records import AlertRecord, Record, TradeRecord
from core.trading.money import MICRO
from core.trading.performance import RoundTrip
from storage.pending_alerts import pending_alerts
from storage.pool import connect
from storage.queries import open_session
from storage.trips import round_trips
from storage.writer import write
from tests.actors_data.builders import Stage
from tests.alerts.channels import Heard, deliveries, play

DAY = 20_785  # 2026-11-28
MIDNIGHT_MS = (DAY + 1) * DAY_MS


def trip(asset: str, pnl: float, *, fees: float = 0.5, closed_ms: int = 0) -> RoundTrip:
    side: Side = "UP"
    return RoundTrip("w", asset, side, DAY * DAY_MS + closed_ms, round(fees * MICRO), round(pnl * MICRO))


TRIPS = (
    trip("ETH", -2.0, closed_ms=3),
    trip("BTC", 10.0, closed_ms=1),
    trip("BTC", -4.0, closed_ms=2),
    trip("BTC", -3.0, closed_ms=4),
)


class Rows:
    """The table of trades: what it answers, one question after the other, and what it was asked for."""

    def __init__(self, *answers: Sequence[RoundTrip] | Exception) -> None:
        self._answers = list(answers)
        self.asked: list[tuple[int, int]] = []

    def __call__(self, from_ms: int, until_ms: int) -> Sequence[RoundTrip]:
        self.asked.append((from_ms, until_ms))
        answer = self._answers.pop(0) if self._answers else ()
        if isinstance(answer, Exception):
            raise answer
        return answer


def later(before: Stage, post: Post, now_ms: int) -> Stage:
    stage = Stage(now_ms)
    stage.system.inherit({addresses.NOTIFIER.name: before.system.cells[addresses.NOTIFIER].left()})
    stage.listen(addresses.DB_WRITER)
    stage.play(addresses.NOTIFIER, lambda context: NotifierActor(context, 7, post))
    return stage


def test_it_adds_up_net_fees_trades_winners_and_drawdown_in_all_and_by_asset() -> None:
    assert summary(DAY, TRIPS).split("\n") == [
        "2026-11-28 UTC: PnL net +1.00 USD, fees 2.00, 4 trades, 25 % won, drawdown 9.00",
        "BTC: PnL net +3.00 USD, fees 1.50, 3 trades, 33 % won, drawdown 7.00",
        "ETH: PnL net -2.00 USD, fees 0.50, 1 trade, 0 % won, drawdown 2.00",
    ]
    assert summary(DAY, ()) == "2026-11-28 UTC: no trades"
    assert day_of(MIDNIGHT_MS - 1) == DAY


def test_it_comes_just_after_midnight_with_the_day_that_ended_and_every_day_again() -> None:
    rows, channel = Rows(TRIPS), Heard()
    stage = play(Post((channel,), trips=rows), now_ms=MIDNIGHT_MS - 3_600_000)
    stage.run(3_600 + 9)
    assert rows.asked == []
    stage.run(5)
    assert rows.asked == [(DAY * DAY_MS, MIDNIGHT_MS)]
    assert channel.sent[0].startswith("00:00:10 daily summary: 2026-11-28 UTC: PnL net +1.00 USD")
    stage.run(86_400)

    assert rows.asked[1:] == [(MIDNIGHT_MS, MIDNIGHT_MS + DAY_MS)]
    assert channel.sent[1] == "00:00:10 daily summary: 2026-11-29 UTC: no trades"


def test_a_process_that_was_away_at_midnight_tells_it_when_it_starts_and_only_once() -> None:
    before = play(Post((Heard(),), trips=Rows()), now_ms=MIDNIGHT_MS - 60_000)
    before.run(1)
    rows, channel = Rows(TRIPS), Heard()
    post = Post((channel,), trips=rows)
    stage = later(before, post, MIDNIGHT_MS + 7_200_000)
    stage.run(5)
    assert [line for line in channel.lines if "daily" in line] == [
        f"daily summary: {summary(DAY, TRIPS)}".split("\n")[0]
    ]
    stage.system.restart(addresses.NOTIFIER)
    stage.run(5)
    later(stage, post, MIDNIGHT_MS + 7_300_000).run(60)

    assert len(rows.asked) == 1


def test_a_database_that_is_away_at_midnight_is_asked_again() -> None:
    rows, channel = Rows(TransientError("away"), TransientError("away"), TRIPS), Heard()
    stage = play(Post((channel,), trips=rows), now_ms=MIDNIGHT_MS - 60_000)
    stage.run(180)

    assert len(rows.asked) == 3
    assert len(channel.sent) == 1


def test_one_that_cannot_be_made_says_so_without_quoting_what_nobody_vouches_for() -> None:
    for error, said in ((RejectedError("no table"), "no table"), (FatalError("hunter2"), "FatalError")):
        stage = play(Post((Heard(),), trips=Rows(error)), now_ms=MIDNIGHT_MS - 60_000)
        stage.run(180)
        (text,) = deliveries(stage)
        assert f"there is none of yesterday: {said};" in text


def test_without_a_table_there_is_no_summary_and_no_timer() -> None:
    stage = play(Post((Heard(),)), now_ms=MIDNIGHT_MS - 60_000)
    stage.run(180)

    assert deliveries(stage) == {}


def test_the_table_gives_what_closed_within_the_day(database: str) -> None:
    with connect(database) as connection:
        session = open_session(connection, "paper", {}, venue="test", new=True, now_ms=0)
        other = open_session(connection, "paper", {}, venue="elsewhere", new=True, now_ms=0)
        moments = {DAY * DAY_MS - 1: 1, DAY * DAY_MS: 2, MIDNIGHT_MS - 1: 3, MIDNIGHT_MS: 4}
        made: list[Record] = [_row(session.id, at_ms, number) for at_ms, number in moments.items()]
        write(connection, [*made, _row(other.id, DAY * DAY_MS, 5)])
        found = round_trips(connection, session.id, DAY * DAY_MS, MIDNIGHT_MS)

    assert found == (
        RoundTrip("0xc", "BTC", "DOWN", DAY * DAY_MS, 500_000, 2_000_000),
        RoundTrip("0xc", "BTC", "DOWN", MIDNIGHT_MS - 1, 500_000, 3_000_000),
    )


def test_the_table_gives_what_is_pending_in_any_channel(database: str) -> None:
    said = (
        "pending",
        "delivered",
        "discord delivered; pager pending",
        "discord pending; pager failed: gone",
        "failed: x; still pending they say",
        "suppressed: 100 others waited",
    )
    with connect(database) as connection:
        session = open_session(connection, "paper", {}, venue="test", new=True, now_ms=0)
        write(connection, [AlertRecord(session.id, "start", "x", delivery, at) for at, delivery in enumerate(said)])
        found = pending_alerts(connection, session.id, len(said))
        assert pending_alerts(connection, session.id, 2) == found[:1]

    assert [row.delivery for row in found] == [said[0], said[2], said[3]]
    assert [row.at_ms for row in found] == [0, 2, 3]


def _row(session_id: int, closed_ms: int, number: int) -> TradeRecord:
    return TradeRecord(
        id=f"t{number}",
        session_id=session_id,
        asset="BTC",
        condition_id="0xc",
        side="DOWN",
        opened_at_ms=closed_ms - 60_000,
        closed_at_ms=closed_ms,
        shares=MICRO,
        entry_price=500_000,
        exit_price=600_000,
        fees_usd=500_000,
        pnl_net_usd=number * MICRO,
        exit_reason="signal",
        force_closed=False,
        force_close_reason=None,
    )
