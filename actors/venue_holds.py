"""Reasons for which a live venue keeps the gate from opening; each ends by itself with what caused it."""

PAUSED = "the venue asks to wait"
REFUSES = "the venue refuses our orders"
MISSED = "the venue has not heard our heartbeat"
NOT_RECONCILED = "not reconciled with the venue"
