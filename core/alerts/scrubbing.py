"""Takes secrets out of texts that others have written, an exception's for instance."""

import re
from collections.abc import Iterable
from urllib.parse import quote, unquote

HIDDEN = "***"
SHORTEST = 4
"""A shorter secret is hidden inside addresses only: replaced everywhere it would make texts unreadable."""
PASSWORD = re.compile(r"(?<=://)([^\s:/@]*):[^\s/@]+@")
WEBHOOK = re.compile(r"(?<=/webhooks/)[^\s?\"']+", re.IGNORECASE)
KEYWORD = re.compile(r"\b(password\s*=\s*)('[^']*'|[^\s'\"]+)", re.IGNORECASE)


class Scrubber:
    """Hides known secrets, however they are quoted, the password of any address and the path of any webhook.

    Args:
        secrets: as they are configured; a hexadecimal one is hidden with and without its 0x, in either case.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        variants = {variant for secret in secrets for variant in _variants(secret) if len(variant) >= SHORTEST}
        longest_first = sorted(variants, key=lambda variant: (-len(variant), variant))
        self._known = re.compile("|".join(map(re.escape, longest_first)), re.IGNORECASE) if variants else None

    def __call__(self, text: str) -> str:
        """Return `text` without secrets."""
        if self._known is not None:
            text = self._known.sub(HIDDEN, text)
        text = PASSWORD.sub(rf"\1:{HIDDEN}@", text)
        return KEYWORD.sub(rf"\1{HIDDEN}", WEBHOOK.sub(HIDDEN, text))


def _variants(secret: str) -> set[str]:
    bare = secret.strip()
    spelled = {bare, bare.removeprefix("0x"), unquote(bare), quote(bare, safe=""), quote(bare)}
    return spelled | {each.encode("unicode_escape").decode() for each in spelled}
