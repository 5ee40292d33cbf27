"""What the settings say of alerts: the channels, what is sent there, and which secrets must never be in a text."""

import contextlib
from collections.abc import Iterator
from urllib.parse import unquote, urlsplit

import msgspec
from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict

from actors.notifier import Left, Post, Trips
from actors.portfolio_state import PortfolioState
from config.load import VARIABLES, ConfigError
from config.settings import Settings
from core.alerts.channel import Channel
from core.alerts.kinds import Importance
from core.alerts.scrubbing import Scrubber
from core.errors import RejectedError
from core.trading.gate import GateState
from core.trading.lasting_holds import lasting, told
from core.trading.money import decimal
from venues.channels import open_channel

LONG_PART = 16
"""A part of a webhook's path at least so long is a secret by itself."""


def post_of(settings: Settings, trips: Trips, left: Left) -> Post:
    """Return how this run's alerts reach a person.

    Raises:
        ConfigError: a channel does not exist, or cannot use its address.
    """
    return Post(
        channels=channels_of(settings),
        scrub=scrubber_of(settings),
        least=Importance[settings.alert_level.upper()],
        group_s=settings.alert_group_s,
        trips=trips,
        left=left,
    )


def channels_of(settings: Settings) -> tuple[Channel, ...]:
    """Return the channels that the settings name, the Discord webhook of its own variable first.

    Raises:
        ConfigError: a channel does not exist, or cannot use its address.
    """
    try:
        return tuple(open_channel(name, url) for name, url in settings.channel_urls)
    except RejectedError as error:
        raise ConfigError(f"{VARIABLES['alert_channels']}: {error}") from None


def scrubber_of(settings: Settings) -> Scrubber:
    """Return what hides every secret of these settings."""
    return Scrubber(_secrets(settings))


def _secrets(settings: Settings) -> Iterator[str]:
    for _, url in settings.channel_urls:
        yield url
        yield from (part for part in urlsplit(url).path.split("/") if len(part) >= LONG_PART)
        yield urlsplit(url).query
    if settings.database_url is not None:
        url = settings.database_url.get_secret_value()
        yield url
        yield unquote(urlsplit(url).password or "")
        with contextlib.suppress(ProgrammingError):  # no such address: who connects to it says so
            yield str(conninfo_to_dict(url).get("password") or "")
    if settings.private_key is not None:
        yield settings.private_key.get_secret_value()
    if settings.private_key_file is not None and settings.private_key_file.is_file():
        yield settings.private_key_file.read_text(errors="replace").strip()


def started(settings: Settings, session_id: int, saved: bytes | None, gate: GateState) -> str:
    """Return the line for people: what runs, and what it goes on with."""
    world = f", world {settings.world}" if settings.profile == "demo" else ""
    text = f"session {session_id} {'runs' if saved is None else 'goes on'}: {settings.mode}, {settings.profile}{world}"
    text = f"{text}, {' '.join(settings.assets)}"
    if saved is not None:
        ledger = msgspec.msgpack.decode(saved, type=PortfolioState).ledger
        held = sum(1 for position in ledger.positions.values() if position.shares)
        text = (
            f"{text}; {ledger.trade_count} trades so far, PnL net {decimal(ledger.realised_usd):+.2f} USD, "
            f"{held or 'nothing'} held"
        )
    holds = "; ".join(told(hold) for hold in lasting(gate))
    return f"{text}; the gate is not open: {holds}" if holds else text
