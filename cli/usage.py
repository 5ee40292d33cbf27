"""Bad usage that the command line's library cannot see: one line that names thing, value and remedy, exit code 2."""

from core.errors import FatalError


class UsageError(FatalError):
    """Raised for an argument that cannot be used."""
