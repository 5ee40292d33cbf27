"""A channel to nobody: what the notifier does with one is part of a simulation, what anybody reads is not."""

from core.alerts.channel import Rate


class Unheard:
    """Takes every text."""

    name = "unheard"
    longest = 1_000
    rate = Rate(burst=4, per_s=0.4)

    def send(self, text: str) -> float:  # noqa: ARG002 -- the channel's interface
        """Take one text; nobody wants a rest."""
        return 0.0
