"""How the exchange misbehaves: a seeded plan of rules, and whether a rule strikes at one occasion.

Whether an occasion is struck follows from the plan's seed and the occasion's own key (an order's hash, a trade's id),
not from how many others came before, so that the same plan strikes the same orders however they interleave.
"""

import hashlib
from collections import Counter
from typing import Literal

import msgspec

EngineKind = Literal[
    "delayed",
    "late_fill",
    "partial_fill",
    "many_trades",
    "shared_trade",
    "settlement_fails",
    "settlement_retries",
    "settlement_slow",
    "balance_lag",
    "matched_sum_stuck",
    "tick_change",
    "late_resolution",
    "no_market_resolved",
    "engine_restart",
]
"""What changes the engine's doings. Per order: `delayed` (answers so, executes `duration_ms` later), `late_fill`
(answers live with nothing matched, executes later), `partial_fill`, `many_trades`, `engine_restart` (425 for
`duration_ms`, then post-only for `post_only_ms`). Per fill of resting orders: `shared_trade`. Per trade:
`settlement_*`, `balance_lag` (what it credits is not seen for `duration_ms`), `matched_sum_stuck`. Per market:
`tick_change` (0.001 for `duration_ms`), `late_resolution` (by `duration_ms`), `no_market_resolved`."""

TransportKind = Literal[
    "accept_then_timeout",
    "rate_limited",
    "forbidden",
    "clock_skew",
    "duplicate_event",
    "reorder_event",
    "drop_event",
    "freeze_socket",
    "drop_socket",
    "cut_frame",
]
"""What happens between engine and client. `clock_skew` shifts the exchange's stated time by `skew_ms`, `rate_limited`
asks to wait `duration_ms`, `freeze_socket` answers only PING for that long."""

Kind = EngineKind | TransportKind


class FaultRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One way to misbehave: with `probability` at each occasion, and at the occasions numbered in `at_counts` (from 1).

    `scope` limits it to occasions whose scope contains that text (a slug, a token, an address, a route's path), and
    `limit` to that many strikes in all.
    """

    kind: Kind
    probability: float = 0.0
    at_counts: tuple[int, ...] = ()
    duration_ms: int = 3_000
    post_only_ms: int = 0
    skew_ms: int = 0
    scope: str = ""
    limit: int | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.probability <= 1:
            raise ValueError(f"{self.kind}: a probability lies between 0 and 1, not {self.probability}")
        if self.duration_ms < 0 or self.post_only_ms < 0:
            raise ValueError(f"{self.kind}: a duration is not negative")


class FaultPlan(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What goes wrong, and the seed that decides where."""

    seed: int = 0
    rules: tuple[FaultRule, ...] = ()


def decode_plan(text: bytes | str) -> FaultPlan:
    """Return the plan in a JSON text. Raises ValueError with one line saying what is wrong with it."""
    try:
        return msgspec.json.decode(text, type=FaultPlan)
    except msgspec.DecodeError as error:
        raise ValueError(f"fault plan: {error}") from error


def default_plan(seed: int, scale: float = 1.0) -> FaultPlan:
    """Return a plan with something of everything, durations multiplied by `scale` (a window's seconds over 900).

    Restarts of the matching engine are few in all: each keeps everybody out for minutes, and a busy client would bring
    about the next one as soon as it is back.
    """

    def rule(
        kind: Kind, probability: float, duration_s: float = 0.0, post_only_s: float = 0.0, limit: int | None = None
    ) -> FaultRule:
        durations_ms = round(duration_s * 1000 * scale), round(post_only_s * 1000 * scale)
        return FaultRule(kind, probability, (), *durations_ms, limit=limit)

    return FaultPlan(
        seed,
        (
            rule("delayed", 0.02, 3),
            rule("late_fill", 0.02, 5),
            rule("partial_fill", 0.08, 5),
            rule("many_trades", 0.08),
            rule("shared_trade", 0.2),
            rule("settlement_fails", 0.03),
            rule("settlement_retries", 0.05),
            rule("settlement_slow", 0.05, 40),
            rule("balance_lag", 0.15, 8),
            rule("matched_sum_stuck", 0.02, 20),
            rule("tick_change", 0.1, 60),
            rule("late_resolution", 0.2, 120),
            rule("no_market_resolved", 0.3),
            rule("engine_restart", 0.002, 90, post_only_s=120, limit=3),
            FaultRule(kind="accept_then_timeout", probability=0.02, duration_ms=6_000),
            FaultRule(kind="rate_limited", probability=0.005, duration_ms=1_000),
            FaultRule(kind="forbidden", probability=0.001),
            FaultRule(kind="duplicate_event", probability=0.05),
            FaultRule(kind="reorder_event", probability=0.05),
            FaultRule(kind="drop_event", probability=0.03),
            FaultRule(kind="freeze_socket", probability=0.001, duration_ms=40_000),
            FaultRule(kind="drop_socket", probability=0.001),
            FaultRule(kind="cut_frame", probability=0.001),
        ),
    )


class Faults:
    """A plan at work: it remembers how many occasions and strikes there were, nothing else."""

    def __init__(self, plan: FaultPlan | None = None) -> None:
        self.plan = plan or FaultPlan()
        self._occasions: Counter[str] = Counter()
        self._strikes: Counter[int] = Counter()
        self._by_kind: dict[str, list[tuple[int, FaultRule]]] = {}
        for number, rule in enumerate(self.plan.rules):
            self._by_kind.setdefault(rule.kind, []).append((number, rule))

    def strike(self, kind: Kind, key: str, scope: str = "") -> FaultRule | None:
        """Count one occasion of `kind` and return the first rule that strikes it, None when all spare it."""
        rules = self._by_kind.get(kind)
        if rules is None:
            return None
        self._occasions[kind] += 1
        count = self._occasions[kind]
        for number, rule in rules:
            if rule.scope not in scope or (rule.limit is not None and self._strikes[number] >= rule.limit):
                continue
            if count in rule.at_counts or self.share(kind, number, key) < rule.probability:
                self._strikes[number] += 1
                return rule
        return None

    def standing(self, kind: Kind, key: str, scope: str = "") -> FaultRule | None:
        """Return the rule that applies to `key` for good, such as a market; asking counts as nothing.

        `at_counts` and `limit` mean nothing here.
        """
        for number, rule in self._by_kind.get(kind, ()):
            if rule.scope in scope and self.share(kind, number, key) < rule.probability:
                return rule
        return None

    def share(self, *parts: object) -> float:
        """Return a number in [0, 1) that follows from the plan's seed and `parts`."""
        return share(self.plan.seed, *parts)


def share(*parts: object) -> float:
    """Return a number in [0, 1) that looks random and follows from `parts`."""
    digest = hashlib.blake2b("|".join(map(str, parts)).encode(), digest_size=8).digest()
    return (int.from_bytes(digest, "big") >> 11) / 2**53
