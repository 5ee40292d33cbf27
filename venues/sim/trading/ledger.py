"""Double entry: every posting sums to zero per asset, and no address ever owes anything."""

from collections import defaultdict
from collections.abc import Iterable

from venues.sim.trading.records import COLLATERAL, FEES, OUTSIDE, WORLD, Leg
from venues.sim.trading.values import Movement

_MAY_OWE = frozenset((WORLD, FEES, COLLATERAL, OUTSIDE))


class Ledger:
    """Balances of every account by asset, integers of 1e-6, and the movements that led to them."""

    def __init__(self) -> None:
        self._balances: defaultdict[str, defaultdict[str, int]] = defaultdict(lambda: defaultdict(int))
        self.movements: list[Movement] = []

    def post(self, legs: Iterable[Leg], reference: str, at_ms: int) -> None:
        """Post one transaction. Raises ValueError when it does not balance or overdraws an address; then nothing."""
        legs = tuple(legs)
        sums: defaultdict[str, int] = defaultdict(int)
        changes: defaultdict[tuple[str, str], int] = defaultdict(int)
        for leg in legs:
            sums[leg.asset] += leg.amount
            changes[leg.account, leg.asset] += leg.amount
        if any(sums.values()):
            raise ValueError(f"posting {reference} does not balance: {dict(sums)}")
        for (account, asset), change in changes.items():
            if account not in _MAY_OWE and self.balance(account, asset) + change < 0:
                raise ValueError(f"posting {reference} overdraws {asset} of {account} by {change}")
        for leg in legs:
            self._balances[leg.account][leg.asset] += leg.amount
            self.movements.append(Movement(leg.account, leg.asset, leg.amount, leg.reason, reference, at_ms))

    def balance(self, account: str, asset: str) -> int:
        """Return one balance, zero for what was never seen."""
        held = self._balances.get(account)
        return 0 if held is None else held.get(asset, 0)

    def holdings(self, account: str) -> dict[str, int]:
        """Return an account's balances that are not zero."""
        return {asset: amount for asset, amount in self._balances.get(account, {}).items() if amount}

    def accounts(self) -> list[str]:
        """Return every account that ever moved, in alphabetical order."""
        return sorted(self._balances)
