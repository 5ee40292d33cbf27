"""Which actors have a checkpoint, in which layout, and what they start from when it is of no use.

The watchdog, the feeds and the database's writer have none: they hear, or keep in the journal, all they need.
"""

from actors import addresses
from actors.discovery_state import DiscoveryState
from actors.executor import ExecutorState
from actors.learner import LearnerState
from actors.market import Saved
from actors.notifier_state import NotifierState, from_version_1
from actors.portfolio_state import SCHEMA_VERSION, PortfolioState
from actors.portfolio_state import from_version_1 as portfolio_from_version_1
from core.runtime.address import Address
from core.runtime.checkpoint import StateFormat

PORTFOLIO = StateFormat(
    SCHEMA_VERSION,
    PortfolioState,
    fallback="never",
    transactional=True,
    upgrades={1: portfolio_from_version_1},
)
"""An older account would be a wrong one: `actors.account` sees to a portfolio whose checkpoint is of no use."""
EXECUTOR = StateFormat(1, ExecutorState, fallback="fresh")
"""An older state would act again for orders that have ended."""
LEARNER = StateFormat(1, LearnerState)
NOTIFIER = StateFormat(2, NotifierState, upgrades={1: from_version_1})
DISCOVERY = StateFormat(1, DiscoveryState)
MARKET = StateFormat(1, Saved)

FORMATS = {
    addresses.PORTFOLIO: PORTFOLIO,
    addresses.EXECUTOR: EXECUTOR,
    addresses.PAPER_PORTFOLIO: PORTFOLIO,
    addresses.PAPER_EXECUTOR: EXECUTOR,
    addresses.LEARNER: LEARNER,
    addresses.NOTIFIER: NOTIFIER,
    addresses.DISCOVERY: DISCOVERY,
}


def state_of(address: Address) -> StateFormat | None:
    """Return the layout of an actor's checkpoint, None when it has none."""
    if address.name.startswith("market."):
        return MARKET
    return FORMATS.get(address)
