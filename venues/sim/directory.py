"""Which markets the exchange knows by token or condition: current ones always, others once they were looked up."""

from venues.sim.world import World
from venues.sim.world.listing import LISTED_AHEAD_S, Listing

_BEHIND_S = 7_200
_WINDOWS_AHEAD = 400
_KEPT = 20_000


class Directory:
    """Index of listings. Identifiers are hashes, so they can be found only among the windows indexed."""

    def __init__(self, world: World, assets: tuple[str, ...]) -> None:
        self.world, self.assets = world, assets
        self._by_key: dict[str, Listing] = {}
        self._indexed_to_s: int | None = None

    def named(self, slug: str, now_s: int) -> Listing | None:
        """Return the market with that slug, None when it is unknown or will be listed only later."""
        market = self.world.market_named(slug, self.assets)
        if market is None or market.listed_at_s > now_s:
            return None
        self._add(market)
        return market

    def by_token(self, token_id: str, now_s: int) -> Listing | None:
        """Return the market one of whose tokens is `token_id`, None when it is unknown or not yet listed."""
        return self._find(token_id, now_s)

    def by_condition(self, condition_id: str, now_s: int) -> Listing | None:
        """Return the market with that condition id, None when it is unknown or not yet listed."""
        return self._find(condition_id, now_s)

    def _find(self, key: str, now_s: int) -> Listing | None:
        self._index(now_s)
        market = self._by_key.get(key)
        return market if market is not None and market.listed_at_s <= now_s else None

    def _index(self, now_s: int) -> None:
        window_s = self.world.window_s
        ahead_s = min(LISTED_AHEAD_S, _WINDOWS_AHEAD * window_s)
        behind_s = min(_BEHIND_S, _WINDOWS_AHEAD * window_s)
        first = (now_s - behind_s) // window_s * window_s
        start = first if self._indexed_to_s is None else max(first, self._indexed_to_s)
        for opens_at_s in range(start, now_s + ahead_s + 1, window_s):
            for asset in self.assets:
                self._add(self.world.market(asset, opens_at_s))
            self._indexed_to_s = opens_at_s + window_s

    def _add(self, market: Listing) -> None:
        for key in (market.condition_id, market.up_token, market.down_token):
            self._by_key[key] = market
        while len(self._by_key) > _KEPT:
            del self._by_key[next(iter(self._by_key))]
