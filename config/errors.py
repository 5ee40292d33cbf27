"""What is raised for settings that cannot be used."""

from core.errors import FatalError


class ConfigError(FatalError):
    """Raised for settings that cannot be used: one line each, with variable, value and remedy; no secret is shown."""
