"""Metrics that only events can tell: orders by state, fills, closed trades, and how long each part of the way took."""

from prometheus_client import CollectorRegistry, Counter, Histogram

from cli.trade_story import Step

QUICK_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
"""Upper bounds in seconds for what takes milliseconds."""
SLOW_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Upper bounds in seconds for what a venue has a part in."""


class EventMetrics:
    """Counts from the process's start. `committed` and `hear` may be called from any thread."""

    def __init__(self, registry: CollectorRegistry) -> None:
        of_asset, of_action = ("account", "asset"), ("account", "asset", "action")
        self._wishes = Counter(
            "fusebox_wishes", "Intents that a policy proposed, sized or not.", of_action, registry=registry
        )
        self._orders = Counter(
            "fusebox_orders",
            "Orders by the state they came to; SIZED counts each once.",
            (*of_action, "state"),
            registry=registry,
        )
        self._fills = Counter(
            "fusebox_fills", "Fills by the state they came to.", (*of_action, "liquidity", "state"), registry=registry
        )
        self._filled_usd = Counter(
            "fusebox_filled_usd", "Dollars exchanged for shares, without fees.", of_action, registry=registry
        )
        self._closed = Counter(
            "fusebox_trades_closed", "Round trips that ended.", (*of_asset, "result", "forced"), registry=registry
        )
        self._seconds = {
            "frame_to_decision": Histogram(
                "fusebox_frame_to_decision_seconds",
                "Receipt of the book that was decided on, to the intent's leaving the market actor.",
                ("asset",),
                registry=registry,
                buckets=SLOW_S,
            ),
            "decision_lateness": Histogram(
                "fusebox_decision_lateness_seconds",
                "The step of the grid, to the intent's leaving the market actor.",
                ("asset",),
                registry=registry,
                buckets=QUICK_S,
            ),
            "decision_to_hand_over": Histogram(
                "fusebox_decision_to_hand_over_seconds",
                "Decision to the order's hand-over to the broker, its commit included for an opening.",
                of_action,
                registry=registry,
                buckets=QUICK_S,
            ),
            "hand_over_to_answer": Histogram(
                "fusebox_hand_over_to_answer_seconds",
                "Hand-over to the venue's first answer: taken, filled or refused.",
                of_action,
                registry=registry,
                buckets=SLOW_S,
            ),
        }
        self._commit = Histogram(
            "fusebox_commit_seconds", "One transaction of the database's writer.", registry=registry, buckets=QUICK_S
        )

    def committed(self, seconds: float) -> None:
        """Note how long a transaction took."""
        self._commit.observe(seconds)

    def hear(self, step: Step) -> None:
        """Count one step of an order."""
        labels = {"account": step.account, "asset": step.asset}
        action = str(step.fields.get("action", ""))
        match step.stage:
            case "proposed":
                self._wishes.labels(**labels, action=action).inc()
            case "sized":
                self._orders.labels(**labels, action=action, state="SIZED").inc()
            case "sent":
                self._orders.labels(**labels, action=action, state="SUBMITTED").inc()
            case "answered" | "ended":
                self._orders.labels(**labels, action=action, state=str(step.fields["state"])).inc()
            case "filled":
                state, liquidity = str(step.fields["state"]), str(step.fields["liquidity"])
                self._fills.labels(**labels, action=action, liquidity=liquidity, state=state).inc()
                if step.fields["first"] and state != "FAILED":
                    self._filled_usd.labels(**labels, action=action).inc(float(str(step.fields["notional_usd"])))
            case "closed":
                won = float(str(step.fields["pnl_net_usd"])) > 0
                forced = "true" if step.fields["forced"] else "false"
                self._closed.labels(**labels, result="won" if won else "lost", forced=forced).inc()
        for name, seconds in step.seconds.items():
            histogram = self._seconds[name]
            if name in ("frame_to_decision", "decision_lateness"):
                histogram.labels(asset=step.asset).observe(seconds)
            else:
                histogram.labels(**labels, action=action).observe(seconds)
