"""The fair value of an Up share: a binary option on the mean price of the window's last seconds."""

import math

_ROOT_2 = math.sqrt(2.0)


def deviation(volatility: float, seconds_left: float, lookback_s: float) -> float:
    """Return the standard deviation of the log of the settlement, as seen with `seconds_left` to the close.

    Log spot is a Brownian motion of `volatility` per square root of a second, without drift. The settlement is the mean
    of spot over the last `lookback_s` seconds, whose variance is `volatility^2` times `left - lookback + lookback / 3`
    before they begin, and times `left^3 / (3 lookback^2)` once they have: what is known of the mean then is taken to
    be at spot.

    Args:
        volatility: standard deviation of the log return of one second.
        seconds_left: seconds until the close; none left counts as a thousandth.
        lookback_s: seconds of the mean, 60 at W = 900.
    """
    left_s = max(seconds_left, 1e-3)
    if left_s >= lookback_s:
        return volatility * math.sqrt(left_s - lookback_s * 2.0 / 3.0)
    return volatility * math.sqrt(left_s**3 / (3.0 * lookback_s**2))


def fair_up(distance: float) -> float:
    """Return P(Up) where spot lies `distance` standard deviations of the settlement above the strike, in logs."""
    return 0.5 * (1.0 + math.erf(distance / _ROOT_2))


def fee_per_share(price: float, rate: float, exponent: int) -> float:
    """Return the taker's fee of one share at `price` in dollars, without rounding: `rate * (p (1 - p))^exponent`."""
    return rate * (price * (1.0 - price)) ** exponent
