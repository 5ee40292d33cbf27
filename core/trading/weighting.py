"""Sizing weights per asset from realised results: what loses is traded smaller, what earns stays at the full size."""

from collections.abc import Mapping

import msgspec


class Weighting(msgspec.Struct, frozen=True):
    """How results become weights.

    `prior_trades` pull an asset's mean towards that of all assets, as that many trades at the common mean would. A mean
    loss of `scale` (a part of the trade size) per trade takes the whole weight away, down to `least`.
    """

    least: float = 0.25
    prior_trades: int = 30
    scale: float = 0.05


def weights(results: Mapping[str, tuple[int, int]], trade_size_usd: int, rule: Weighting) -> dict[str, float]:
    """Return the part of the trade size for each asset, within `[rule.least, 1]`.

    The shrinkage is that of a normal mean with a normal prior (James and Stein 1961 in its empirical Bayes form): with
    n trades of mean m and the common mean c, `(n m + k c) / (n + k)`. What has no trades gets the common weight.

    Args:
        results: trades and their net result (1e-6 dollars), by asset.
        trade_size_usd: dollars of a full-size position, 1e-6.
        rule: bounds and shrinkage.
    """
    trades = sum(count for count, _ in results.values())
    common = sum(net for _, net in results.values()) / trades / trade_size_usd if trades else 0.0
    found = {}
    for asset, (count, net) in results.items():
        mean = (net / trade_size_usd + rule.prior_trades * common) / (count + rule.prior_trades)
        found[asset] = min(1.0, max(rule.least, 1.0 + mean / rule.scale))
    return found
