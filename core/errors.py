"""The error tree. A leaf's name tells its catcher what may be done next.

FuseboxError
├── TransientError        nothing happened; trying again later may work
├── RejectedError         it did not happen and will not; do not send the same thing again
├── UnknownOutcomeError   it may or may not have happened; find out before doing anything else
└── FatalError            stop: a person or a restart has to change something first
"""


class FuseboxError(Exception):
    """Base of every error that fusebox raises on purpose."""


class TransientError(FuseboxError):
    """Raised when nothing happened and a later attempt may succeed (a refused connection, a 429)."""


class RejectedError(FuseboxError):
    """Raised when the other side definitively refused; nothing was changed by the attempt."""


class UnknownOutcomeError(FuseboxError):
    """Raised when a request may have taken effect (a timeout after sending)."""


class FatalError(FuseboxError):
    """Raised when going on would be wrong: bad configuration, a corrupt state, a lost lease."""
