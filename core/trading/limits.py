"""What must hold before a position is opened, and when one must be closed whatever the policy says."""

from collections.abc import Iterator

import msgspec

from core.market.market import Market, Side
from core.market.views import BookView, TokenBook
from core.market.window import Window
from core.trading.money import decimal

KNOWN_PROTOCOLS = frozenset({"v1"})
"""Market protocol versions this program can trade; another one means other tokens and other contracts."""

EXIT_BEFORE_S = 120
MAX_AGE_S = 840


class OpenLimits(msgspec.Struct, frozen=True):
    """Limits on an opening order; seconds as at W = 900, scaled to the window by each check. Prices in 1e-6."""

    min_left_s: float = 180.0
    max_book_age_s: float = 5.0
    min_price: int = 50_000
    max_price: int = 950_000


def open_refusal(market: Market, view: BookView | None, side: Side, now_ms: int, limits: OpenLimits) -> str | None:
    """Return the first reason not to open `side` now, or None when every check passes."""
    if view is None or view.condition_id != market.condition_id:
        return f"no book of {market.window.slug}"
    return next((text for text in _checks(market, view, side, now_ms, limits) if text is not None), None)


def _checks(market: Market, view: BookView, side: Side, now_ms: int, limits: OpenLimits) -> Iterator[str | None]:
    book = view.up if side == "UP" else view.down
    yield protocol_refusal(market)
    yield fee_refusal(market)
    yield time_refusal(market.window, now_ms, limits.min_left_s)
    yield age_refusal(market.window, view, now_ms, limits.max_book_age_s)
    yield two_sided_refusal(book)
    yield price_refusal(book.best_ask, limits.min_price, limits.max_price)


def protocol_refusal(market: Market) -> str | None:
    """Return a refusal unless the market's protocol version is one we can trade."""
    return None if market.protocol_version in KNOWN_PROTOCOLS else f"protocol {market.protocol_version} not supported"


def fee_refusal(market: Market) -> str | None:
    """Return a refusal while the market's fee schedule is unknown."""
    return "fee unknown" if market.fees is None else None


def time_refusal(window: Window, now_ms: int, min_left_s: float) -> str | None:
    """Return a refusal before the window opens and in its last `min_left_s`, scaled by W / 900."""
    if now_ms < window.opens_at_s * 1000:
        return "window not open yet"
    needed_s = min_left_s * window.scale
    left_s = window.seconds_left(now_ms)
    return None if left_s >= needed_s else f"{left_s:.1f} s left, {needed_s:.1f} needed"


def age_refusal(window: Window, view: BookView, now_ms: int, max_book_age_s: float) -> str | None:
    """Return a refusal when the book was received longer ago than `max_book_age_s`, scaled by W / 900."""
    allowed_s = max_book_age_s * window.scale
    age_s = (now_ms - view.received_ms) / 1000
    return None if age_s <= allowed_s else f"book {age_s:.1f} s old, {allowed_s:.1f} allowed"


def two_sided_refusal(book: TokenBook) -> str | None:
    """Return a refusal when a side of the book is empty, or the touch is crossed."""
    spread = book.spread
    if spread is None:
        return "book one-sided"
    return "book crossed" if spread <= 0 else None


def price_refusal(price: int | None, min_price: int, max_price: int) -> str | None:
    """Return a refusal unless `price` (1e-6) lies within `[min_price, max_price]`."""
    if price is None:
        return "no price"
    if min_price <= price <= max_price:
        return None
    return f"price {decimal(price)} outside {decimal(min_price)} to {decimal(max_price)}"


def exit_due(window: Window, now_ms: int, exit_before_s: float = EXIT_BEFORE_S) -> bool:
    """Return whether the window is in its last `exit_before_s`, scaled by W / 900: the T-2 rule."""
    return window.seconds_left(now_ms) <= exit_before_s * window.scale


def max_age_due(window: Window, opened_ms: int, now_ms: int, max_age_s: float = MAX_AGE_S) -> bool:
    """Return whether a position opened at `opened_ms` has reached `max_age_s`, scaled by W / 900."""
    return now_ms - opened_ms >= max_age_s * window.scale * 1000
