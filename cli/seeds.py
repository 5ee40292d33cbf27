"""Seeds on the command line: `901-960`, or `7,9,12-14`."""

import re

from cli.usage import UsageError

MOST = 100_000
_PART = re.compile(r"(\d{1,9})(?:-(\d{1,9}))?")


def parse_seeds(text: str) -> tuple[int, ...]:
    """Return the seeds that a text names, each once, in its order.

    Raises:
        UsageError: it names none, or cannot be read.
    """
    seeds: dict[int, None] = {}
    for part in text.split(","):
        match = _PART.fullmatch(part.strip())
        if match is None:
            raise UsageError(f"--seeds {text}: {part.strip()!r} is no seed; give such as 901-960 or 7,9")
        first, last = int(match[1]), int(match[2] or match[1])
        if not first <= last < first + MOST:
            raise UsageError(
                f"--seeds {text}: {part.strip()} names no seeds, or more than {MOST}; give such as 901-960"
            )
        seeds.update(dict.fromkeys(range(first, last + 1)))
    return tuple(seeds)
