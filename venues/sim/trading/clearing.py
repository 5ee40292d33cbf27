"""After the match: a trade's way to the chain, a market's resolution, and paying the winners."""

from venues.sim.trading import records as r
from venues.sim.trading.session import Session
from venues.sim.trading.settlement import payout
from venues.sim.trading.state import Settling
from venues.sim.trading.values import Claim, TradeStatus


class Clearing:
    """Settles the session's trades and redeems its accounts' shares."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def stage(self, trade_id: str, now_ms: int) -> None:
        """Bring a trade to its next stage if the moment of that has come."""
        session = self._session
        settling = session.state.trades[trade_id]
        following = _next_stage(settling)
        if following is None or following[1] > now_ms:
            return
        status = following[0]
        transaction = session.desk.transaction_hash(trade_id) if status == "MINED" else ""
        session.commit(r.Staged(trade_id, status, transaction, now_ms))
        condition_id = settling.made.condition_id
        if status in {"MINED", "FAILED"} and condition_id in session.state.winners and session.rules.auto_redeem:
            self._redeem_all(condition_id, now_ms)

    def resolve(self, slug: str, now_ms: int) -> None:
        """State a market's winner if the moment of that has come, and pay it out where that goes by itself."""
        session = self._session
        market = session.market(slug)
        if market.condition_id in session.state.winners:
            return
        due_ms = session.resolves_at_ms(market)
        if due_ms > now_ms:
            session.remember(due_ms, "resolve", slug)
            return
        winner = session.world.winner(market.asset, market.opens_at_s)
        session.commit(r.Resolved(slug, market.condition_id, winner, now_ms))
        if session.rules.auto_redeem:
            self._redeem_all(market.condition_id, now_ms)

    def claims(self, account: str) -> list[Claim]:
        """Return an account's winning shares that were not redeemed yet, by market."""
        found = []
        for condition_id, winner in self._session.state.winners.items():
            market = self._session.market(self._session.state.markets[condition_id])
            token = market.up_token if winner == "Up" else market.down_token
            shares = self._free(account, token)
            if shares:
                found.append(Claim(condition_id, token, shares))
        return found

    def redeem(self, account: str, condition_id: str, now_ms: int) -> int:
        """Pay out an account's shares of a resolved market and return the dollars (1e-6) it got."""
        session = self._session
        winner = session.state.winners.get(condition_id)
        if winner is None:
            return 0
        market = session.market(session.state.markets[condition_id])
        held = {token: self._free(account, token) for token in (market.up_token, market.down_token)}
        held = {token: shares for token, shares in held.items() if shares}
        winning = market.up_token if winner == "Up" else market.down_token
        if held:
            session.commit(r.Redeemed(condition_id, payout(account, held, winning), now_ms))
        return held.get(winning, 0)

    def _redeem_all(self, condition_id: str, now_ms: int) -> None:
        for account in sorted(self._session.state.accounts):
            self.redeem(account, condition_id, now_ms)

    def _free(self, account: str, token: str) -> int:
        """Return settled shares that no unsettled trade will take."""
        state = self._session.state
        locked = state.locked_of.get(account, {}).get(token, 0)
        return state.ledger.balance(account, token) - locked


def _next_stage(settling: Settling) -> tuple[TradeStatus, int] | None:
    """Return a trade's next status and when it gets there, None when it is settled for good."""
    made = settling.made
    if settling.status == "MATCHED" and made.fate != "settles":
        return "RETRYING", made.retry_at_ms
    if settling.is_pending:
        return "FAILED" if made.fate == "fails" else "MINED", made.mined_at_ms
    if settling.status == "MINED":
        return "CONFIRMED", made.confirmed_at_ms
    return None
