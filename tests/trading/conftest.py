"""An account that holds nothing, and one that holds ten shares."""

import pytest

from core.trading.ledger import (
    Ledger,
    new_ledger,
)
from core.trading.money import MICRO
from tests.trading.accounts import bought


@pytest.fixture
def empty() -> Ledger:
    return new_ledger(100 * MICRO)


@pytest.fixture
def holding(empty: Ledger) -> Ledger:
    """Ten confirmed UP shares bought at 0.50 for a fee of 0.175."""
    return bought(empty).ledger
