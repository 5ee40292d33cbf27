"""Where the web page listens, and that nobody else's browser finds it there without a password."""

from collections.abc import Mapping

import msgspec

from cli.usage import UsageError
from config.settings import Settings
from web.access import is_loopback

EVERYWHERE = "0.0.0.0"  # noqa: S104 -- what a host with PORT expects; refused without a password
HIGHEST_PORT = 65_535


class Place(msgspec.Struct, frozen=True):
    """Where the page listens."""

    host: str
    port: int


def place_of(settings: Settings, environ: Mapping[str, str]) -> Place:
    """Return where the page listens: what was said, else the port that a host gives in `PORT`, on every address.

    Raises:
        UsageError: `PORT` is none, or others than this host could reach the page and there is no password.
    """
    place, given = Place(settings.dashboard_host, settings.dashboard_port), environ.get("PORT", "")
    if given and "dashboard_port" not in settings.model_fields_set:
        if not (given.isascii() and given.isdigit() and 0 < int(given) <= HIGHEST_PORT):
            raise UsageError(f"PORT={given}: a port is a number from 1 to {HIGHEST_PORT}")
        said = "dashboard_host" in settings.model_fields_set
        place = Place(settings.dashboard_host if said else EVERYWHERE, int(given))
    refuse_open(settings, place.host)
    return place


def refuse_open(settings: Settings, host: str) -> None:
    """Refuse an address that others than this host reach, where there is no password.

    Raises:
        UsageError: so it is.
    """
    if not is_loopback(host) and settings.dashboard_password is None:
        raise UsageError(
            f"the web page at {host} could be used by anybody who reaches it: set FUSEBOX_DASHBOARD_PASSWORD, "
            "or serve it at 127.0.0.1"
        )


def url_of(host: str, port: int) -> str:
    """Return the address a person types."""
    name = "localhost" if host in (EVERYWHERE, "::") else host
    return f"http://{f'[{name}]' if ':' in name else name}:{port}/"
