"""The page's questions: charts that stay small over a day, tables with filters, and answers to nonsense."""

import time
from typing import Any

import pytest

from core.market.market import Side
from core.records import (
    FillRecord,
    HealthEventRecord,
    IntentRecord,
    MetricRecord,
    OrderRecord,
    Record,
    TradeRecord,
)
from storage.page_rows import MOST_POINTS
from storage.pool import Connection
from storage.queries import Session
from storage.writer import write
from tests.web.conftest import Serve

NOW_MS = time.time_ns() // 1_000_000 - 60_000


def a_trade(
    session: Session, number: int, *, asset: str = "BTC", pnl_usd: int = 1_000_000, forced: bool = False
) -> TradeRecord:
    at_ms = NOW_MS + number * 1000
    return TradeRecord(
        f"t{number}", session.id, asset, "0xc", "UP", at_ms - 500, at_ms, 5_000_000, 500_000, 700_000, 20_000, pnl_usd,
        "signal", forced, "T-2" if forced else None,
    )  # fmt: skip


def an_order(session: Session, number: int, filled: int) -> list[Record]:
    at_ms, intent, order = NOW_MS + number * 1000, f"i{number}", f"i{number}.o"
    side: Side = "UP" if number % 2 else "DOWN"
    records: list[Record] = [
        IntentRecord(intent, session.id, "BTC", "0xc", side, "OPEN", at_ms, "signal", 1, 1, (0.1, 0.7, 0.2), ()),
        OrderRecord(
            order, intent, "paper", None, "FAK", "BUY", "token", 400_000, 5_000_000, "FILLED", at_ms, at_ms, None
        ),
    ]
    if filled:
        records.append(
            FillRecord(
                f"f{number}",
                order,
                "paper",
                f"v{number}",
                "h",
                390_000,
                filled,
                10_000,
                "TAKER",
                "CONFIRMED",
                at_ms + 50,
            )
        )
    return records


def get(serve: Serve, database: str, path: str) -> Any:
    with serve(database).client() as client:
        found = client.get(f"/api/{path}")
        assert found.status_code == 200, found.text
        return found.json()


def test_trades_are_filtered_and_paged(serve: Serve, database: str, connection: Connection, session: Session) -> None:
    write(
        connection,
        [
            a_trade(session, 1),
            a_trade(session, 2, asset="ETH", pnl_usd=-3_250_000),
            a_trade(session, 3, forced=True),
        ],
    )
    served, own = serve(database), f"session={session.id}"
    with served.client() as client:

        def ids(query: str) -> list[str]:
            return [row["id"] for row in client.get(f"/api/trades?{own}&{query}").json()["rows"]]

        assert ids("") == ["t3", "t2", "t1"]
        assert ids("asset=ETH") == ["t2"]
        assert (ids("kind=won"), ids("kind=lost"), ids("kind=forced")) == (["t3", "t1"], ["t2"], ["t3"])
        assert ids("side=DOWN") == []
        assert ids(f"before={NOW_MS + 3000}&most=1") == ["t2"]
        (row,) = client.get(f"/api/trades?{own}&asset=ETH").json()["rows"]
        assert (row["pnl_net_usd"], row["closed_ms"]) == ("-3.250000", NOW_MS + 2000)


def test_orders_say_what_they_filled(serve: Serve, database: str, connection: Connection, session: Session) -> None:
    write(connection, [*an_order(session, 1, 5_000_000), *an_order(session, 2, 0)])
    served, own = serve(database), f"session={session.id}"
    with served.client() as client:
        rows = client.get(f"/api/orders?{own}").json()["rows"]
        assert [(r["filled_shares"], r["fill_price"]) for r in rows] == [("0", None), ("5.000000", "0.390000")]
        filled = client.get(f"/api/orders?{own}&kind=filled").json()["rows"]
        nothing = client.get(f"/api/orders?{own}&kind=unfilled").json()["rows"]
        marks = client.get(f"/api/marks?{own}&asset=BTC").json()["marks"]

    assert [len(rows) for rows in (filled, nothing)] == [1, 1]
    assert [(m["side"], m["filled"], m["price"]) for m in marks] == [("UP", 5.0, 0.39), ("DOWN", None, None)]
    assert marks[0]["t"] == (NOW_MS + 1050) / 1000, "a mark is where it filled"


def test_events_are_found_by_asset_and_by_a_text_as_it_is(
    serve: Serve, database: str, connection: Connection, session: Session
) -> None:
    told = [
        ("feed.binance.BTC", "stale", "3 s old"),
        ("gate ETH", "changed", "open"),
        ("market.ETH", "died", "50% off"),
    ]
    write(connection, [HealthEventRecord(session.id, *each, NOW_MS + n) for n, each in enumerate(told)])
    served, own = serve(database), f"session={session.id}"
    with served.client() as client:

        def subjects(**query: str) -> list[str]:
            found = client.get("/api/events", params={"session": session.id, **query}).json()["rows"]
            return [row["subject"] for row in found]

        assert subjects(asset="BTC") == ["feed.binance.BTC"]
        assert subjects(asset="ETH") == ["market.ETH", "gate ETH"]
        assert subjects(text="STALE") == ["feed.binance.BTC"]
        assert subjects(text="%") == ["market.ETH"], "a percent sign is a percent sign"
        assert subjects(text="_") == []
        assert client.get(f"/api/events?{own}").json()["rows"][0]["at_ms"] == NOW_MS + 2


def test_a_day_of_samples_comes_as_a_few_hundred_points_and_quickly(
    serve: Serve, database: str, connection: Connection, session: Session
) -> None:
    connection.execute(
        "INSERT INTO asset_samples (session_id, asset, at, up_price, fair_value, spot, strike, probabilities)"
        " SELECT %s, asset, to_timestamp(s), 0.5, 0.6, 100, 99, '{0.1,0.7,0.2}' FROM unnest(array['BTC','ETH']) asset,"
        " generate_series(extract(epoch FROM now())::bigint - 86400, extract(epoch FROM now())::bigint) s",
        (session.id,),
    )
    connection.execute(
        "INSERT INTO account_samples (session_id, at, cash_usd, equity_usd, pnl_net_usd)"
        " SELECT %s, to_timestamp(s), 1, 2, 0 FROM"
        " generate_series(extract(epoch FROM now())::bigint - 86400, extract(epoch FROM now())::bigint) s",
        (session.id,),
    )
    served = serve(database)
    with served.client() as client:
        began_s = time.monotonic()
        day = client.get(f"/api/asset?session={session.id}&asset=BTC&minutes=1440").json()["samples"]
        equity = client.get(f"/api/equity?session={session.id}&minutes=1440").json()["marked"]
        took_s = time.monotonic() - began_s
        minute = client.get(f"/api/asset?session={session.id}&asset=BTC&minutes=1").json()["samples"]

    for found in (day, equity):
        assert MOST_POINTS // 2 < len(found["t"]) <= MOST_POINTS + 2
        assert found["t"] == sorted(found["t"])
    assert 55 <= len(minute["t"]) <= 61
    assert (minute["up"][0], minute["fair"][0], minute["buy"][0]) == (0.5, 0.6, pytest.approx(0.7))
    assert took_s < 4.0


def test_the_sum_of_closed_trades_reaches_back_to_the_sessions_start(
    serve: Serve, database: str, connection: Connection, session: Session
) -> None:
    write(connection, [a_trade(session, number) for number in range(3 * MOST_POINTS)])

    realised = get(serve, database, f"equity?session={session.id}")["realised"]
    assert MOST_POINTS // 2 <= len(realised["t"]) <= 2 * MOST_POINTS
    assert realised["net"][-1] == 3.0 * MOST_POINTS


def test_the_learners_curves_are_the_rows_it_wrote(
    serve: Serve, database: str, connection: Connection, session: Session
) -> None:
    write(
        connection,
        [
            MetricRecord(session.id, f"learner.{name}", value, NOW_MS + n)
            for n in range(3)
            for name, value in (("entropy", 1.0 - n / 10), ("version", n))
        ],
    )
    curves = get(serve, database, f"learner?session={session.id}")["curves"]

    assert curves["entropy"]["value"] == [1.0, 0.9, 0.8]
    assert curves["kl"] == {"t": [], "value": []}


NONSENSE = (
    "asset?asset=BTC&minutes=0",
    "asset?asset=BTC&minutes=1441",
    "asset?asset=BTC&minutes=1e3",
    "asset?asset=BTC&minutes=-1",
    "asset?asset=BTC'--",
    "asset?asset=" + "B" * 100,
    "trades?kind=best",
    "trades?side=up",
    "trades?most=100000",
    "trades?before=" + "9" * 30,
    "trades?session=x",
    "events?text=" + "x" * 81,
    "events?text=%00",
    "orders?most=٣",
)


def test_nonsense_is_refused_in_one_line(serve: Serve, database: str) -> None:
    with serve(database).client() as client:
        for path in NONSENSE:
            refused = client.get(f"/api/{path}")
            assert (refused.status_code, bool(refused.json()["error"])) == (400, True), path
