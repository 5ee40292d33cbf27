"""The three things a policy can say about a market, in the order of its outputs."""

from enum import IntEnum


class Action(IntEnum):
    """A policy's decision. BUY leans to UP (opens UP or closes DOWN), SELL to DOWN (opens DOWN or closes UP)."""

    HOLD = 0
    BUY = 1
    SELL = 2
