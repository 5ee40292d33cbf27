"""One decision, two accounts: each acts on it by what it holds itself, and the learner hears of it once."""

import msgspec
import pytest

from actors import addresses
from actors.addresses import paper_beside
from actors.market import MarketActor, MarketRules
from core.market.market import Side
from core.messages import (
    BookPublished,
    FlowPublished,
    IntentProposed,
    MarketListed,
    PositionPublished,
    PositionRequested,
    TransitionRecorded,
    WeightsPublished,
)
from core.runtime.address import Address
from core.trading.money import MICRO
from core.trading.positions import Position
from tests.actors_data.builders import (
    BUYS,
    MARKET,
    OPENS_MS,
    SELLS,
    Chooser,
    Stage,
    as_policy,
    book_view,
    flow_view,
    market_of,
)

HAS_POSITION = 12
"""Index of the feature in the reference's schema."""
NOW = market_of()
LIVE, PAPER = addresses.PORTFOLIO, addresses.PAPER_PORTFOLIO
RULES = MarketRules(grid_ms=500, book_stale_s=5.0, flow_stale_s=5.0, sample_actions=False)


class Asset:
    """A market actor that decides for the live session 1 and the paper session 2."""

    def __init__(self, rules: MarketRules = RULES) -> None:
        self.stage = Stage(OPENS_MS + 130)
        feeds = (addresses.book_feed("BTC"), addresses.flow_feed("BTC"))
        self.stage.listen(addresses.LEARNER, addresses.DISCOVERY, LIVE, PAPER, *feeds)
        beside = paper_beside(2)
        self.stage.play(
            MARKET, lambda context: MarketActor(context, "BTC", 1, rules, as_policy, self.stage.said.append, beside)
        )

    def decide(self, probabilities: tuple[float, ...]) -> Chooser:
        """Make one decision."""
        policy = Chooser(probabilities)
        now_ms = self.stage.clock.now_ms()
        self.stage.tell(MARKET, WeightsPublished(1, policy), MarketListed(NOW))
        self.stage.tell(MARKET, BookPublished(book_view(NOW, now_ms)), FlowPublished(flow_view(now_ms)))
        self.stage.run(0.5)
        return policy

    def holds(self, portfolio: Address, side: Side | None, *, busy: bool = False) -> None:
        """Let a portfolio say what it holds."""
        position = None
        if side is not None:
            position = Position(1, "BTC", NOW.condition_id, side, "i", OPENS_MS, OPENS_MS, 10 * MICRO, 5 * MICRO)
        self.stage.tell(MARKET, PositionPublished("BTC", NOW.condition_id, position, busy, portfolio))

    def wishes(self, portfolio: Address) -> list[tuple[str, str]]:
        """Return side and action of what was proposed to a portfolio."""
        told = self.stage.told(portfolio, IntentProposed)
        return [(each.intent.side, each.intent.action) for each in told]


@pytest.fixture
def asset() -> Asset:
    return Asset()


def test_an_action_is_interpreted_against_each_accounts_own_position(asset: Asset) -> None:
    asset.holds(LIVE, "UP")
    asset.decide(SELLS)

    assert asset.wishes(LIVE) == [("UP", "CLOSE")]
    assert asset.wishes(PAPER) == [("DOWN", "OPEN")]


def test_what_one_account_holds_or_does_keeps_the_other_from_nothing(asset: Asset) -> None:
    asset.holds(LIVE, None, busy=True)
    asset.holds(PAPER, None)
    asset.decide(BUYS)
    assert (asset.wishes(LIVE), asset.wishes(PAPER)) == ([], [("UP", "OPEN")])


def test_a_busy_or_holding_paper_account_keeps_the_live_one_from_nothing(asset: Asset) -> None:
    asset.holds(PAPER, "UP", busy=True)
    asset.decide(BUYS)
    assert (asset.wishes(LIVE), asset.wishes(PAPER)) == ([("UP", "OPEN")], [])


def test_both_wishes_are_of_one_moment_and_each_of_its_own_session(asset: Asset) -> None:
    asset.decide(BUYS)
    (live,), (paper,) = (asset.stage.told(portfolio, IntentProposed) for portfolio in (LIVE, PAPER))

    assert (live.intent.session_id, paper.intent.session_id) == (1, 2)
    assert live.intent.id != paper.intent.id
    alike = msgspec.structs.replace(paper.intent, id=live.intent.id, session_id=1)
    assert alike == live.intent
    assert live.view == paper.view


def test_the_policy_sees_the_live_account_and_the_learner_hears_one_step(asset: Asset) -> None:
    asset.holds(PAPER, "UP")
    flat = asset.decide(BUYS)
    (step,) = asset.stage.told(addresses.LEARNER, TransitionRecorded)
    assert [features[HAS_POSITION] for features, _ in flat.seen] == [0.0]
    assert step.features[HAS_POSITION] == 0.0


def test_a_live_position_is_seen(asset: Asset) -> None:
    asset.holds(LIVE, "UP")
    assert [features[HAS_POSITION] for features, _ in asset.decide(BUYS).seen] == [1.0]


def test_with_learning_off_nothing_is_told_to_the_learner() -> None:
    asset = Asset(msgspec.structs.replace(RULES, learn=False))
    asset.decide(BUYS)
    assert asset.wishes(LIVE) == [("UP", "OPEN")]
    assert asset.stage.told(addresses.LEARNER, TransitionRecorded) == []


def test_it_asks_both_portfolios_what_they_hold(asset: Asset) -> None:
    asset.stage.run(0.1)
    for portfolio in (LIVE, PAPER):
        assert asset.stage.told(portfolio, PositionRequested) == [PositionRequested("BTC", MARKET)]
