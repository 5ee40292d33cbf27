"""Exit codes of the program, by what they tell a shell or a host."""

EXIT_FAILED = 1
EXIT_BAD_CONFIG = 2
EXIT_NOT_RUNNING = 3
EXIT_NO_ANSWER = 4
EXIT_ESCALATED = 70
EXIT_LEASE_LOST = 75
"""`EX_TEMPFAIL`: another process trades now; started again, this one waits for its end."""

OF_ERRORS = {
    "config.load.ConfigError": EXIT_BAD_CONFIG,
    "cli.usage.UsageError": EXIT_BAD_CONFIG,
    "models.ppo.hyper.HyperparameterError": EXIT_BAD_CONFIG,
    "cli.client.NotRunningError": EXIT_NOT_RUNNING,
    "cli.client.NoAnswerError": EXIT_NO_ANSWER,
}
"""By the class's name, so that reporting one error does not load the modules of the others."""


def exit_code(error: Exception) -> int:
    """Return the exit code that an error of ours ends the program with."""
    kind = type(error)
    return OF_ERRORS.get(f"{kind.__module__}.{kind.__name__}", EXIT_FAILED)
