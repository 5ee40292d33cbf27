"""A MarketActor decides on its grid, or says what it waits for; what it wishes for goes to the portfolio."""

import pytest

from actors import addresses
from actors.market import TELL_WAIT_MS
from core.market.market import Side
from core.messages import (
    BookPublished,
    CalendarRequested,
    IntentProposed,
    PositionPublished,
    PositionRequested,
    Tick,
    ViewsRequested,
    WeightsPublished,
    WeightsRequested,
)
from core.status import AssetStatus
from core.trading.money import MICRO
from core.trading.orders import IntentAction
from core.trading.positions import Position
from tests.actors_data.builders import (
    BUYS,
    HOLDS,
    KILL,
    MARKET,
    OPENS_MS,
    OPENS_S,
    SELLS,
    WINDOW_S,
    Asset,
    Chooser,
    Stage,
    book_view,
    flow_view,
    market_of,
)

NOW, NEXT = market_of(), market_of(opens_s=OPENS_S + WINDOW_S)
FEEDS = (addresses.book_feed("BTC"), addresses.flow_feed("BTC"))
NEIGHBOURS = (addresses.LEARNER, addresses.DISCOVERY, addresses.PORTFOLIO, *FEEDS)


@pytest.fixture
def stage() -> Stage:
    stage = Stage(OPENS_MS + 130)
    stage.listen(*NEIGHBOURS)
    return stage


@pytest.fixture
def asset(stage: Stage) -> Asset:
    return Asset(stage)


def held(side: Side | None, *, busy: bool = False) -> PositionPublished:
    position = None
    if side is not None:
        position = Position(1, "BTC", NOW.condition_id, side, "i1", OPENS_MS, OPENS_MS, 10 * MICRO, 5 * MICRO)
    return PositionPublished("BTC", NOW.condition_id, position, busy, addresses.PORTFOLIO)


def test_there_is_one_decision_at_every_grid_step(asset: Asset) -> None:
    asset.ready(Chooser(), NOW)
    asset.run(10, NOW)

    assert [step.at_ms for step in asset.steps] == [OPENS_MS + 500 * n for n in range(1, 21)]


def test_the_steps_of_an_asset_with_a_phase_come_that_much_later(stage: Stage) -> None:
    asset = Asset(stage, phase_ms=75)
    asset.ready(Chooser(), NOW)
    asset.run(10, NOW)

    assert [step.at_ms for step in asset.steps] == [OPENS_MS + 75 + 500 * n for n in range(1, 21)]


def test_a_step_whose_timer_came_early_is_not_done_again_at_its_time(stage: Stage, asset: Asset) -> None:
    asset.ready(Chooser(), NOW)
    asset.run(0.3, NOW)
    stage.run(0.069)
    stage.tell(MARKET, Tick("grid", OPENS_MS + 500))
    asset.run(0.7, NOW)

    assert [step.at_ms for step in asset.steps] == [OPENS_MS + 500, OPENS_MS + 1000]


def test_on_start_it_asks_for_weights_markets_position_and_views_until_it_has_a_policy(
    stage: Stage, asset: Asset
) -> None:
    stage.run(7)
    for neighbour, question in (
        (addresses.LEARNER, WeightsRequested(MARKET)),
        (addresses.DISCOVERY, CalendarRequested("BTC", MARKET)),
        (addresses.PORTFOLIO, PositionRequested("BTC", MARKET)),
        *((feed, ViewsRequested(MARKET)) for feed in FEEDS),
    ):
        assert stage.told(neighbour, type(question)) == [question, question]
    asset.ready(Chooser())
    stage.run(20)
    assert len(stage.told(addresses.LEARNER, WeightsRequested)) == 2


@pytest.mark.parametrize(
    ("bid", "ask", "book_age_s", "flow_age_s", "reason"),
    [
        ("0.49", "0.51", None, 0, "no book yet"),
        ("0.49", "0.51", 0, None, "no flow yet"),
        ("0.49", "0.51", 8, 0, "book 8 s old"),
        ("0.49", "0.51", 0, 9, "flow 9 s old"),
        ("0.49", "", 0, 0, "book one-sided"),
        ("", "0.51", 0, 0, "book one-sided"),
        ("", "", 8, 0, "book 8 s old"),
        ("0.49", "", 0, 9, "book one-sided; flow 9 s old"),
        ("0.49", "0.51", None, None, "no book yet; no flow yet"),
        ("0.49", "0.51", 5, 5, None),
    ],
)
def test_what_is_missing_is_named_and_nothing_is_decided(
    asset: Asset, bid: str, ask: str, book_age_s: int | None, flow_age_s: int | None, reason: str | None
) -> None:
    at_ms = OPENS_MS + 500
    asset.view = lambda m, _: None if book_age_s is None else book_view(m, at_ms - book_age_s * 1000, bid, ask)
    asset.flow = lambda _: None if flow_age_s is None else flow_view(at_ms - flow_age_s * 1000)
    asset.ready(Chooser(BUYS), NOW)
    asset.run(0.4, NOW)

    assert asset.waiting_for == reason
    assert (len(asset.steps), len(asset.intents)) == ((1, 1) if reason is None else (0, 0))


def test_without_market_or_policy_it_says_so(stage: Stage, asset: Asset) -> None:
    asset.run(1, NOW)
    assert asset.waiting_for == "no market listed for this window; policy is warming up"
    stage.tell(MARKET, WeightsPublished(1, Chooser()))
    asset.run(1, NOW)
    assert asset.waiting_for == "no market listed for this window"
    assert asset.steps == []


def test_a_long_wait_is_told_once_with_its_reason_and_its_end_once(stage: Stage, asset: Asset) -> None:
    asset.ready(Chooser(), NOW)
    asset.run(2, NOW)
    stage.run(5 + TELL_WAIT_MS / 1000 + 10)
    assert stage.said == [f"{MARKET} cannot decide: book 10 s old; flow 10 s old"]
    asset.run(2, NOW)
    assert stage.said[1:] == [f"{MARKET} decides again"]


def test_a_number_that_is_not_finite_costs_its_steps_and_never_the_actor(asset: Asset) -> None:
    policy = Chooser()
    asset.ready(policy, NOW)
    asset.run(3, NOW)
    before = len(asset.steps)
    asset.flow = lambda now_ms: flow_view(now_ms, float("nan"))
    asset.run(20, NOW)
    assert asset.waiting_for == "BTC: input returns_1m is nan; the state is not usable"
    assert asset.cell.restarts == 0
    assert len(asset.steps) <= before + 1

    asset.flow = flow_view
    asset.run(3, NOW)
    assert len(asset.steps) >= before + 5
    assert all(abs(features).max() <= 1.0 and abs(history).max() <= 1.0 for features, history in policy.seen)


@pytest.mark.parametrize(
    ("probabilities", "side", "wish"),
    [
        (HOLDS, None, None),
        (HOLDS, "UP", None),
        (BUYS, None, ("UP", "OPEN")),
        (BUYS, "UP", None),
        (BUYS, "DOWN", ("DOWN", "CLOSE")),
        (SELLS, None, ("DOWN", "OPEN")),
        (SELLS, "DOWN", None),
        (SELLS, "UP", ("UP", "CLOSE")),
    ],
)
def test_actions_open_close_or_keep_and_never_flip(
    stage: Stage,
    asset: Asset,
    probabilities: tuple[float, ...],
    side: Side | None,
    wish: tuple[Side, IntentAction] | None,
) -> None:
    policy = Chooser(probabilities)
    asset.ready(policy, NOW)
    stage.tell(MARKET, held(side))
    asset.run(0.5, NOW)

    assert len(asset.steps) == 1
    if wish is None:
        assert asset.intents == []
        return
    (proposed,) = asset.intents
    intent = proposed.intent
    assert (intent.side, intent.action) == wish
    assert (intent.condition_id, intent.decided_ms) == (NOW.condition_id, OPENS_MS + 500)
    assert intent.probabilities == probabilities
    assert intent.features == tuple(policy.seen[0][0].tolist())
    assert proposed.market == NOW
    assert proposed.view.received_ms == OPENS_MS + 430


def test_while_an_order_is_under_way_no_second_intent_is_sent_but_decisions_go_on(stage: Stage, asset: Asset) -> None:
    asset.ready(Chooser(BUYS), NOW)
    stage.tell(MARKET, held(None, busy=True))
    asset.run(3, NOW)
    assert (len(asset.steps), len(asset.intents)) == (6, 0)
    stage.tell(MARKET, held(None))
    asset.run(0.5, NOW)
    assert len(asset.intents) == 1


def test_intents_carry_the_incarnation_that_decided(stage: Stage, asset: Asset) -> None:
    asset.ready(Chooser(BUYS), NOW)
    asset.run(0.5, NOW)
    stage.tell(MARKET, KILL)
    stage.run(0.1)
    asset.ready(Chooser(BUYS), NOW)
    asset.run(1, NOW)

    assert [said.intent.incarnation for said in stage.told(addresses.PORTFOLIO, IntentProposed)] == [1, 2, 2]
    assert len({said.intent.id for said in asset.intents}) == 3


def test_late_books_of_markets_that_are_over_are_not_kept(stage: Stage, asset: Asset) -> None:
    asset.ready(Chooser())
    for n in range(30):
        market, before = (market_of(opens_s=OPENS_S + m * WINDOW_S) for m in (n, n - 1))
        asset.ready(Chooser(), market)
        stage.run(2)
        stage.tell(MARKET, BookPublished(book_view(before, stage.clock.now_ms())))
        stage.tell(
            MARKET, PositionPublished("BTC", before.condition_id, None, busy=False, portfolio=addresses.PORTFOLIO)
        )
        stage.run(WINDOW_S - 2.2)
        assert stage.shown("asset BTC", AssetStatus).slug == market.window.slug
        stage.run(0.2)
    actor = stage.system._alive[asset.cell].actor

    assert max(len(value) for value in vars(actor).values() if isinstance(value, dict)) <= 3
