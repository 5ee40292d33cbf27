"""Each account's money and positions as metrics, in dollars and shares."""

from collections.abc import Callable, Iterator, Mapping

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from core.status import HoldingStatus, PortfolioStatus
from core.trading.claims import claimable_usd
from core.trading.money import MICRO

TOTALS: tuple[tuple[str, str, Callable[[PortfolioStatus], float]], ...] = (
    ("cash_usd", "Cash, reserved dollars included.", lambda shown: shown.cash_usd / MICRO),
    ("reserved_usd", "Dollars set aside for orders at work.", lambda shown: shown.reserved_usd / MICRO),
    ("exposure_usd", "What everything held has cost.", lambda shown: shown.cost_usd / MICRO),
    ("pnl_realised_usd", "PnL of closed trades, net of fees.", lambda shown: shown.realised_usd / MICRO),
    (
        "claimable_usd",
        "Winnings that the venue owes until they are redeemed.",
        lambda shown: claimable_usd({claim.token_id: claim for claim in shown.claims}) / MICRO,
    ),
    ("fees_usd", "Fees paid, of what is held as well.", lambda shown: shown.fees_usd / MICRO),
    ("unknown_orders", "Orders that the venue may or may not have.", lambda shown: len(shown.unknown)),
    ("held_to_settlement", "Positions that will not be sold any more.", lambda shown: len(shown.held)),
)
COUNTS: tuple[tuple[str, str, Callable[[PortfolioStatus], float]], ...] = (
    ("trades", "Closed trades of the session.", lambda shown: shown.trades),
    ("trades_won", "Closed trades of the session that made money.", lambda shown: shown.wins),
)
PARTS: tuple[tuple[str, str, Callable[[HoldingStatus], float]], ...] = (
    ("asset_exposure_usd", "What is held of the asset has cost.", lambda held: held.cost_usd / MICRO),
    ("asset_shares", "Shares held of the asset.", lambda held: held.shares / MICRO),
    (
        "asset_pnl_realised_usd",
        "PnL of the asset's closed trades, net of fees.",
        lambda held: held.realised_usd / MICRO,
    ),
    ("asset_unsettled", "Positions of windows that are over and not settled yet.", lambda held: held.unsettled),
)


def account_metrics(accounts: Mapping[str, PortfolioStatus]) -> Iterator[Metric]:
    """Yield what each account (live or paper) has, has made, and holds."""
    for name, text, total in TOTALS:
        family = GaugeMetricFamily(f"fusebox_{name}", text, labels=("account",))
        for account, shown in accounts.items():
            family.add_metric((account,), total(shown))
        yield family
    for name, text, count in COUNTS:
        counter = CounterMetricFamily(f"fusebox_{name}", text, labels=("account",))
        for account, shown in accounts.items():
            counter.add_metric((account,), count(shown))
        yield counter
    for name, text, part in PARTS:
        family = GaugeMetricFamily(f"fusebox_{name}", text, labels=("account", "asset"))
        for account, shown in accounts.items():
            for asset, held in shown.holdings.items():
                family.add_metric((account, asset), part(held))
        yield family
