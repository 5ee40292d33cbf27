"""The addresses of all actors, so that no name is spelled twice."""

import msgspec

from core.runtime.address import Address

DB_WRITER = Address("db_writer")
NOTIFIER = Address("notifier")
PORTFOLIO = Address("portfolio")
EXECUTOR = Address("executor")
WATCHDOG = Address("watchdog")
LEARNER = Address("learner")
PAPER_PORTFOLIO = Address("portfolio.paper")
PAPER_EXECUTOR = Address("executor.paper")
DISCOVERY = Address("discovery")


class Account(msgspec.Struct, frozen=True):
    """One set of books: its session, who keeps it, who executes for it."""

    session_id: int
    portfolio: Address = PORTFOLIO
    executor: Address = EXECUTOR


def paper_beside(session_id: int) -> Account:
    """Return the account on paper that goes along with a live one."""
    return Account(session_id, PAPER_PORTFOLIO, PAPER_EXECUTOR)


def market(asset: str) -> Address:
    """Return the address of an asset's market actor."""
    return Address(f"market.{asset}")


def book_feed(asset: str) -> Address:
    """Return the address of an asset's Polymarket feed."""
    return Address(f"feed.polymarket.{asset}")


def flow_feed(asset: str) -> Address:
    """Return the address of an asset's Binance feed."""
    return Address(f"feed.binance.{asset}")
