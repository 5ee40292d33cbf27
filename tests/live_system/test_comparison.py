"""The comparison of the two ledgers finds what it is there to find, and orders under faults leave it nothing."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from actors.live_looks import LATE_WINDOWS
from bench.measure.live_world import WINDOW_S, LiveWorld
from bench.measure.two_ledgers import Rows, Venue, differences, read_venue
from core.trading.orders import OrderType

ORDERS = 40
QUIET_S = 300
KILLS = [(0.5, True), (12.0, False), (3.0, True), (45.0, True), (0.5, False), (200.0, True)]
"""How long nobody of ours is there, and whether the exchange dies with us."""
KILLED_AFTER_STEPS = 37


@pytest.fixture(scope="module")
def ledgers(tmp_path_factory: pytest.TempPathFactory) -> tuple[Venue, Rows]:
    """Both sides after some orders under the default faults, with restarts, and then rest."""
    file = tmp_path_factory.mktemp("ledger") / "ledger.jsonl"
    return traded(file)


def traded(file: Path) -> tuple[Venue, Rows]:
    world = LiveWorld(4, "FAK", file)
    while len(world.tables.orders) < ORDERS:
        world.step()
    until_s = world.now_s + QUIET_S
    while world.now_s < until_s:
        world.step(trades=False)
    world.close()
    return read_venue(file), world.tables.rows(world.state)


def test_orders_under_the_default_faults_leave_no_difference(ledgers: tuple[Venue, Rows]) -> None:
    venue, rows = ledgers
    assert len(rows.flows) >= ORDERS // 2
    assert differences(venue, rows, at_rest=True) == []


def test_a_micro_dollar_of_difference_is_found(ledgers: tuple[Venue, Rows]) -> None:
    venue, rows = ledgers
    assert rows.cash_usd is not None
    (found, *_) = differences(venue, replace(rows, cash_usd=rows.cash_usd + 1), at_rest=False)
    assert f"our cash is {rows.cash_usd + 1}" in found


def test_a_fill_that_is_missing_doubled_or_ours_alone_is_found(ledgers: tuple[Venue, Rows]) -> None:
    venue, rows = ledgers
    trade_id, flow = next((key, flow) for key, flow in rows.flows.items() if flow.standing == "FINAL")
    without = {key: other for key, other in rows.flows.items() if key != trade_id}
    doubled = rows.flows | {trade_id: replace(flow, shares={token: 2 * n for token, n in flow.shares.items()})}
    invented = rows.flows | {"nobody": flow}

    assert f"trade {trade_id} is the venue's alone" in differences(venue, replace(rows, flows=without), at_rest=True)
    assert any(
        text.startswith(f"trade {trade_id}: shares")
        for text in differences(venue, replace(rows, flows=doubled), at_rest=False)
    )
    assert "trade nobody is ours alone" in differences(venue, replace(rows, flows=invented), at_rest=False)


def test_an_order_left_open_or_taken_without_a_row_is_found(ledgers: tuple[Venue, Rows]) -> None:
    venue, rows = ledgers
    assert "order i1.o has not ended" in differences(venue, replace(rows, open_orders=("i1.o",)), at_rest=True)
    strange = replace(venue, orders=venue.orders | {"0x1": "BUY"})
    assert "BUY 0x1 is at the venue, no row of ours has it" in differences(strange, rows, at_rest=False)


def test_what_waits_for_its_winner_is_not_at_rest_and_is_booked_by_the_next_process(tmp_path: Path) -> None:
    file = tmp_path / "ledger.jsonl"
    world = LiveWorld(4, "GTC", file)

    def found(*, at_rest: bool = True) -> list[str]:
        return differences(read_venue(file), world.tables.rows(world.state), at_rest=at_rest)

    def only_winners_are_missing() -> bool:
        return all("wait for their winner" in text for text in found())

    while not (world.state.ledger.positions and only_winners_are_missing()):
        world.step(trades=not world.state.ledger.positions)
    assert found() != []  # a stop now, and the venue pays before anybody of ours can hear of it
    world.kill(3 * WINDOW_S, venue_too=False)
    assert found(at_rest=False) == []
    assert any("our cash is" in text for text in found())
    until_s = world.now_s + WINDOW_S
    while world.now_s < until_s:
        world.step(trades=False)
    world.close()
    assert found() == []


@pytest.mark.parametrize("order_type", ["GTC", "FAK"])
def test_kills_at_any_moment_leave_no_difference(tmp_path: Path, order_type: OrderType) -> None:
    file = tmp_path / "ledger.jsonl"
    world = LiveWorld(5, order_type, file)
    for away_s, venue_too in KILLS:
        for _ in range(KILLED_AFTER_STEPS):
            world.step()
        world.kill(away_s, venue_too=venue_too)
        assert differences(read_venue(file), world.tables.rows(world.state), at_rest=False) == []
    until_s = world.now_s + QUIET_S
    while world.now_s < until_s:
        world.step(trades=False)
    world.close()
    assert differences(read_venue(file), world.tables.rows(world.state), at_rest=True) == []
    assert not [line for line in world.lines if "trade elsewhere" in line]  # what was booked before is no news


@pytest.mark.parametrize("away_s", [30.0, 3.0 * LATE_WINDOWS * WINDOW_S])
def test_a_fill_that_is_not_final_at_a_kill_is_followed_however_long_nobody_was_there(
    tmp_path: Path, away_s: float
) -> None:
    file = tmp_path / "ledger.jsonl"
    world = LiveWorld(6, "FAK", file)
    while not world.tables.unconfirmed().orders:
        world.step()
    orders = set(world.tables.orders)
    world.kill(away_s, venue_too=False)
    until_s = world.now_s + WINDOW_S + 30
    while world.now_s < until_s:
        world.step(trades=False)
    world.close()
    assert world.tables.unconfirmed().orders == ()
    assert differences(read_venue(file), world.tables.rows(world.state), at_rest=True) == []
    assert not [order_id for order_id in world.tables.orders.keys() - orders if order_id.startswith("adopted")]


def test_taking_the_venues_word_for_our_cash_counts_as_a_difference(ledgers: tuple[Venue, Rows]) -> None:
    venue, rows = ledgers
    repaired = replace(rows, repaired=("cash: ours 1, the venue's 2",))
    assert differences(venue, repaired, at_rest=False) == ["the venue's word was taken: cash: ours 1, the venue's 2"]
