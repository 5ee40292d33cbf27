"""Ways to reach a person: each module here is one, by its name, and has `open_channel(url) -> Channel`.

Another one is another file; `FUSEBOX_ALERT_CHANNELS=NAME=URL` sends alerts there. It follows
`core.alerts.channel.Channel`, and nothing else has to know of it.
"""

import pkgutil
from importlib import import_module

from core.alerts.channel import Channel
from core.errors import RejectedError


def names() -> tuple[str, ...]:
    """Return the channels that there are, sorted."""
    return tuple(sorted(module.name for module in pkgutil.iter_modules(__path__)))


def open_channel(name: str, url: str) -> Channel:
    """Return the channel of that name to `url`, which may be a secret.

    Raises:
        RejectedError: there is no such channel, or it cannot use the address.
    """
    if name not in names():
        raise RejectedError(f"there is no channel {name!r}: choose from {', '.join(names())}")
    channel: Channel = import_module(f"{__name__}.{name}").open_channel(url)
    return channel
