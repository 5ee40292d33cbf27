"""What must hold before live trading starts: each problem with what to do about it."""

from collections.abc import Callable, Iterable

import msgspec

from core.errors import FuseboxError, TransientError
from core.market.market import Market
from core.trading.limits import KNOWN_PROTOCOLS
from core.trading.money import decimal
from venues.polymarket.account import Account, Balance
from venues.polymarket.credentials import EOA, Wallet
from venues.polymarket.signing import funder_address, signer_address
from venues.polymarket.versions import SIGNABLE

MOST_SKEW_MS = 5_000
"""The venue judges requests by their timestamp; more than this and they are refused sooner or later."""


class Problem(msgspec.Struct, frozen=True):
    """One reason not to trade live: what of, what is wrong, what to do. `str` is the line to show."""

    subject: str
    text: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.subject}: {self.text}: {self.remedy}"


class VenueClock(msgspec.Struct, frozen=True):
    """One reading of the venue's clock (whole seconds) between two of ours (unix ms)."""

    asked_ms: int
    venue_s: int
    answered_ms: int

    @property
    def skew_ms(self) -> int:
        """How far our clock is ahead (positive) or behind at the least, travel and whole seconds allowed for."""
        earliest_ms, latest_ms = self.venue_s * 1000, self.venue_s * 1000 + 999
        return max(self.asked_ms - latest_ms, 0) or min(self.answered_ms - earliest_ms, 0)


def read_clock(time_s: Callable[[], int], now_ms: Callable[[], int]) -> VenueClock:
    """Return one reading; `time_s` asks the venue, such as `Clob.time_s`, whose errors it raises."""
    asked_ms = now_ms()
    return VenueClock(asked_ms, time_s(), now_ms())


def clock_problems(clock: VenueClock, most_ms: int = MOST_SKEW_MS) -> list[Problem]:
    """Return whether our clock is too far from the venue's."""
    if abs(clock.skew_ms) <= most_ms:
        return []
    way = "ahead of" if clock.skew_ms > 0 else "behind"
    text = f"this host is {abs(clock.skew_ms) / 1000:.1f} s {way} the venue, {most_ms / 1000:g} s allowed"
    return [Problem("clock", text, "synchronise it (chrony, systemd-timesyncd, sntp)")]


def version_problems(version: int) -> list[Problem]:
    """Return whether the venue takes an order version we cannot sign."""
    if version in SIGNABLE:
        return []
    return [
        Problem("order version", f"the venue takes {version}, this program signs {SIGNABLE}", "install a newer release")
    ]


def market_problems(markets: Iterable[Market]) -> list[Problem]:
    """Return which markets are of a protocol version that cannot be traded."""
    return [
        Problem(
            market.window.slug,
            f"protocol version {market.protocol_version!r}, only {sorted(KNOWN_PROTOCOLS)} can be traded",
            "leave the asset out, or install a newer release",
        )
        for market in markets
        if market.protocol_version not in KNOWN_PROTOCOLS
    ]


def wallet_problems(wallet: Wallet) -> list[Problem]:
    """Return what is wrong with private key, funder and signature type as such."""
    try:
        funder_address(wallet)
    except FuseboxError as error:
        what, _, remedy = str(error).partition(": ")
        return [Problem("wallet", what, remedy or "check the key, the funder and the signature type")]
    return []


def funds_problems(cash: Balance, spender: str, needed_usd: int) -> list[Problem]:
    """Return whether dollars or allowance fall short of `needed_usd` (1e-6). `spender` is the exchange contract."""
    problems = []
    if cash.units < needed_usd:
        text = f"the funder has ${decimal(cash.units)}, the limits need ${decimal(needed_usd)}"
        problems.append(
            Problem("balance", text, "deposit, lower the limits, or check that the funder is the right address")
        )
    if cash.allowance(spender) < needed_usd:
        text = f"the exchange {spender} may take ${decimal(cash.allowance(spender))}, ${decimal(needed_usd)} needed"
        problems.append(
            Problem("allowance", text, "approve it once with the wallet (the venue's site does on first use)")
        )
    return problems


def account_problems(account: Account, wallet: Wallet, spender: str, needed_usd: int) -> list[Problem]:
    """Ask the venue for the account and return what is wrong with it: keys, dollars, allowance. Blocks.

    Raises:
        TransientError: the venue could not be asked, or asks to wait: that says nothing about the account.
    """
    try:
        cash = account.cash()
        account.open_orders()
    except TransientError:
        raise
    except FuseboxError as error:
        signer = signer_address(wallet)
        remedy = f"check that the API key belongs to {signer} and the signature type is {wallet.signature_type}"
        return [Problem("account", str(error), remedy)]
    problems = funds_problems(cash, spender, needed_usd)
    if problems and wallet.signature_type == EOA:
        hint = f"signature type 0 trades the money of {signer_address(wallet)} itself"
        problems.append(
            Problem("wallet", hint, "set the funder and its type if the money is in the venue's own wallet")
        )
    return problems
