"""What the venue believes an account has, what is spoken for, and the refusal when an order would take more."""

from venues.sim.trading.state import State, allowance
from venues.sim.trading.values import VenueError


def known(state: State, account: str, asset: str, now_ms: int) -> int:
    """Return the balance as the venue knows it: settled, less credits it has not seen yet."""
    unseen = sum(
        late.amount for late in state.unseen.get(account, ()) if late.asset == asset and late.until_ms > now_ms
    )
    return max(0, state.ledger.balance(account, asset) - unseen)


def active(state: State, account: str, asset: str, *, without: str = "") -> int:
    """Return the sum of the account's open orders in that asset, leaving one out."""
    orders = state.by_account.get(account, {})
    return sum(order.reserved for key, order in orders.items() if order.asset == asset and key != without)


def matched(state: State, account: str, asset: str, now_ms: int) -> int:
    """Return what matched trades will take of that asset once they are mined."""
    stuck = sum(late.amount for late in state.stuck.get(account, ()) if late.asset == asset and late.until_ms > now_ms)
    locked = state.locked_of.get(account)
    return stuck + (0 if locked is None else locked.get(asset, 0))


def check_funds(
    state: State, account: str, asset: str, amount: int, now_ms: int, *, spender: str, without: str = ""
) -> None:
    """Raise the venue's VenueError unless balance and allowance cover `amount` besides everything spoken for."""
    balance, orders, trades = (
        known(state, account, asset, now_ms),
        active(state, account, asset, without=without),
        matched(state, account, asset, now_ms),
    )
    if balance < orders + trades + amount:
        raise VenueError(
            400,
            f"not enough balance / allowance: the balance is not enough -> balance: {balance}, "
            f"sum of active orders: {orders}, sum of matched orders: {trades}, order amount (inc. fees): {amount}",
        )
    allowed = allowance(state, account, asset, spender)
    if allowed < orders + trades + amount:
        raise VenueError(
            400,
            f"not enough balance / allowance: the allowance is not enough -> spender: {spender}, allowance: {allowed}",
        )
