"""The addresses of all actors, so that no name is spelled twice."""

from core.runtime.address import Address

DB_WRITER = Address("db_writer")
NOTIFIER = Address("notifier")
PORTFOLIO = Address("portfolio")
EXECUTOR = Address("executor")
WATCHDOG = Address("watchdog")
LEARNER = Address("learner")
DISCOVERY = Address("discovery")


def market(asset: str) -> Address:
    """Return the address of an asset's market actor."""
    return Address(f"market.{asset}")


def book_feed(asset: str) -> Address:
    """Return the address of an asset's Polymarket feed."""
    return Address(f"feed.polymarket.{asset}")


def flow_feed(asset: str) -> Address:
    """Return the address of an asset's Binance feed."""
    return Address(f"feed.binance.{asset}")
