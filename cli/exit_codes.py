"""Exit codes of the program, by what they tell a shell or a host."""

EXIT_FAILED = 1
EXIT_BAD_CONFIG = 2
EXIT_NOT_RUNNING = 3
EXIT_NO_ANSWER = 4
EXIT_ESCALATED = 70
EXIT_LEASE_LOST = 75
"""`EX_TEMPFAIL`: another process trades now; started again, this one waits for its end."""
EXIT_INTERRUPTED = 130
"""128 and the number of SIGINT, as shells have it."""

MEANINGS = {
    0: "done, or stopped",
    EXIT_FAILED: "could not start or go on, or was refused; one line says why. `doctor`: a problem was found",
    EXIT_BAD_CONFIG: "bad usage or settings: one line for each, with the remedy",
    EXIT_NOT_RUNNING: "no process trades, or nothing was ever stored there",
    EXIT_NO_ANSWER: "the running process did not answer in time",
    EXIT_ESCALATED: "`run` gave up, so that a host starts it again",
    EXIT_LEASE_LOST: "`run`: another process has taken over this database; a host may start it again",
    EXIT_INTERRUPTED: "Ctrl-C, in a command that does not stop in order by itself as `run` and `train` do",
}
"""What each exit code means, for docs/command-line.md."""

OF_ERRORS = {
    "config.errors.ConfigError": EXIT_BAD_CONFIG,
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
