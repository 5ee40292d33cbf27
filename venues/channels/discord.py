"""A Discord webhook, as https://discord.com/developers/docs/resources/webhook#execute-webhook describes it.

Rate limits: https://discord.com/developers/docs/topics/rate-limits.
"""

import math
import re
from collections.abc import Mapping
from urllib.parse import urlsplit

import httpx
import msgspec

from core.alerts.channel import Rate, RateLimitedError
from core.errors import FuseboxError, RejectedError, TransientError
from venues.posting import Poster, Reply

WITHIN_S = 10.0
LONGEST = 1_000
"""Characters; Discord takes 2,000, and escaping may double them."""
RATE = Rate(burst=4, per_s=0.4)
"""In any 2 s at most 4 of the 5 requests a webhook is granted, in any 60 s at most 28 of its 30 messages."""
RETRY_AFTER_S = 5.0
"""After a 429 that does not say."""
LONGEST_RETRY_AFTER_S = 3_600.0
MARKDOWN = re.compile(r"([\\*_~`|>#\[\]<])")
NO_MENTIONS: Mapping[str, list[str]] = {"parse": []}
_TOO_MANY, _TIMED_OUT, _SERVER_ERROR = 429, 408, 500


class DiscordChannel:
    """Delivers texts as they are: no formatting, no mentions.

    Args:
        url: of the webhook; a secret.
        within_s: how long a message may take, in seconds.
    """

    name = "discord"
    longest = LONGEST
    rate = RATE

    def __init__(self, url: str, within_s: float = WITHIN_S) -> None:
        # `wait` makes the answer tell of the message itself, not only of the request for it
        self._url = str(httpx.URL(url).copy_merge_params({"wait": "true"}))
        self._poster = Poster(within_s)

    def send(self, text: str) -> float:
        """Deliver one text and return for how many seconds the webhook has nothing left; as `Channel.send`."""
        document = {"content": MARKDOWN.sub(r"\\\1", text), "allowed_mentions": NO_MENTIONS}
        try:
            reply = self._poster.post(self._url, document)
        except FuseboxError as error:
            raise type(error)(f"webhook: {error}") from None
        if httpx.codes.is_success(reply.status):
            return _rest_s(reply)
        text = f"webhook answered {reply.status}"
        if reply.status == _TOO_MANY:
            raise RateLimitedError(text, _retry_after_s(reply))
        if reply.status >= _SERVER_ERROR or reply.status == _TIMED_OUT:
            raise TransientError(text)
        raise RejectedError(text)


def open_channel(url: str) -> DiscordChannel:
    """Return the channel to a webhook.

    Raises:
        RejectedError: the address is of no use.
    """
    try:
        known = bool(urlsplit(url).hostname)
        channel = DiscordChannel(url)
    except (ValueError, httpx.InvalidURL):  # their texts quote it
        known = False
    if not known:
        raise RejectedError("the webhook's address is of no use")
    return channel


def _rest_s(reply: Reply) -> float:
    if reply.headers.get("x-ratelimit-remaining", "").strip() != "0":
        return 0.0
    return _seconds(reply.headers.get("x-ratelimit-reset-after")) or 0.0


def _retry_after_s(reply: Reply) -> float:
    """Return what the answer's body and its header agree on at the least: the longer of both."""
    try:
        document = msgspec.json.decode(reply.body)
    except (msgspec.DecodeError, UnicodeError):
        document = None
    said = document.get("retry_after") if isinstance(document, dict) else None
    known = [s for s in (_seconds(said), _seconds(reply.headers.get("retry-after"))) if s is not None]
    return max(known, default=RETRY_AFTER_S)


def _seconds(said: object) -> float | None:
    """Return seconds that make sense, at most an hour; None for anything else."""
    if isinstance(said, bool) or not isinstance(said, int | float | str):
        return None
    try:
        seconds = float(said)
    except (ValueError, OverflowError):
        return None
    return min(seconds, LONGEST_RETRY_AFTER_S) if math.isfinite(seconds) and seconds >= 0 else None
