"""A shadow is asked at every step, with features of its own, and never followed."""

from actors import addresses
from actors.market import MarketActor, MarketRules
from core.market.features import FUSED_FEATURES
from core.messages import IntentProposed, MarketListed, Persist, WeightsPublished
from core.records import MetricRecord
from tests.actors_data.builders import (
    BUYS,
    HOLDS,
    MARKET,
    Asset,
    Chooser,
    Stage,
    as_policy,
    market_of,
)

NOW = market_of()


class Other(Chooser):
    """A policy that sees other features."""

    schema = FUSED_FEATURES


def shadowed(stage: Stage, policy: Chooser, shadow: Chooser) -> Asset:
    asset = Asset(stage)
    rules = MarketRules(grid_ms=500, book_stale_s=5.0, flow_stale_s=5.0, sample_actions=False)
    asset.cell.spec = type(asset.cell.spec)(
        MARKET,
        lambda context: MarketActor(context, "BTC", 1, rules, as_policy, stage.said.append, shadow=lambda: shadow),
    )
    stage.tell(MARKET, WeightsPublished(1, policy), MarketListed(NOW))
    return asset


def metrics(stage: Stage) -> list[tuple[str, float]]:
    rows = [row for message in stage.told(addresses.DB_WRITER, Persist) for row in message.rows]
    return [(row.name, row.value) for row in rows if isinstance(row, MetricRecord)]


def test_what_a_shadow_would_do_is_written_down_when_it_changes_and_nothing_is_proposed() -> None:
    stage = Stage()
    stage.listen(addresses.LEARNER, addresses.DISCOVERY, addresses.PORTFOLIO, addresses.DB_WRITER)
    policy, shadow = Chooser(HOLDS), Other(HOLDS)
    asset = shadowed(stage, policy, shadow)
    asset.run(2, NOW)
    assert metrics(stage) == []

    shadow.probabilities = BUYS
    asset.run(2, NOW)
    assert metrics(stage) == [("shadow.BTC", 1.0)]
    assert stage.told(addresses.PORTFOLIO, IntentProposed) == []
    assert {features.shape for features, _ in policy.seen} == {(18,)}
    assert {features.shape for features, _ in shadow.seen} == {(26,)}
    assert {history.shape for _, history in shadow.seen} == {(5, 26)}


def test_the_end_says_how_often_it_agreed() -> None:
    stage = Stage()
    stage.listen(addresses.LEARNER, addresses.DISCOVERY, addresses.PORTFOLIO, addresses.DB_WRITER)
    asset = shadowed(stage, Chooser(HOLDS), Other(BUYS))
    asset.run(2.1, NOW)
    stage.system.stop()

    assert any("the shadow agreed in 0 of 4 steps" in said for said in stage.said)
