"""Every setting of a run: its unit, range and default, and the environment variable that changes it."""

import re
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from config.limits import KNOWN_ASSETS, LimitFields, Usd
from config.page import PageFields
from core.market.window import REFERENCE_LENGTH_S
from core.trading.money import micros

PROJECT_ROOT = Path(__file__).resolve().parent.parent
STALE_FLOOR_S = 2.0
DAY_S = 86_400
SECRETS = frozenset(("alert_channels", "dashboard_password", "database_url", "discord_webhook_url", "private_key"))
LOOPBACK = re.compile(r"127(\.\d{1,3}){3}|localhost|::1")
SHIPPED, FRESH = "shipped", "fresh"
DISCORD = "discord"
REAL_MONEY = "real-money"
"""What has to be written out before an order with real money is sent."""

Url = Annotated[str, Field(pattern=r"^(https?|wss?)://[^\s/@]+(/\S*)?$")]


class Settings(LimitFields, PageFields, BaseSettings):
    """One run's settings, frozen. Seconds "at W = 900" shrink with the window: read the properties, not the fields."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    profile: Literal["demo", "real"] = Field("demo", description="venues: demo (embedded exchange) or real (public)")
    mode: Literal["paper", "live", "dual"] = Field(
        "paper", description="broker: paper, live (real orders) or dual (live, and paper beside it)"
    )
    assets: tuple[str, ...] = Field(KNOWN_ASSETS, description="tickers to trade, comma-separated: BTC,ETH,SOL,XRP")
    window_s: int = Field(
        60, ge=20, le=900, description="length of a market's window, 20 to 900 s; 900 on the real venue"
    )
    world: Literal["lagged", "today"] = Field(
        "lagged", description="how the embedded exchange behaves: lagged (its book follows late) or today"
    )
    seed: int = Field(0, ge=0, lt=2**63, description="seed of every random draw, 0 to 2**63 - 1")
    state_dir: Path = Field(PROJECT_ROOT / ".fusebox", description="folder of the embedded database and of the logs")
    database_url: SecretStr | None = Field(
        None, description="postgresql://user:password@host:port/name; none for the embedded database"
    )
    lease_wait_s: float = Field(
        86_400.0,
        ge=0,
        le=86_400,
        description="how long to wait while another process trades with this database, 0 to 86400 s; 0 refuses at once",
    )
    gamma_url: Url | None = Field(None, description="Polymarket's market listings; none for the embedded exchange")
    clob_url: Url | None = Field(None, description="Polymarket's order book over HTTP; none for the embedded exchange")
    clob_ws_url: Url | None = Field(None, description="Polymarket's market websocket; none for the embedded exchange")
    price_ws_url: Url | None = Field(None, description="Polymarket's price websocket; none for the embedded exchange")
    user_ws_url: Url | None = Field(
        None, description="Polymarket's websocket of our account; none for the embedded exchange"
    )
    binance_rest_url: Url | None = Field(None, description="Binance futures over HTTP; none for the embedded exchange")
    binance_ws_url: Url | None = Field(None, description="Binance futures websocket; none for the embedded exchange")
    starting_cash_usd: Usd = Field(
        Decimal(10_000), gt=0, le=10**8, description="paper cash of a new session, above 0 to 100,000,000 dollars"
    )
    paper_latency_ms: int = Field(
        50, ge=0, le=10_000, description="decision to arrival of a paper order, 0 to 10000 ms"
    )
    order_type: Literal["FAK", "FOK", "GTC"] = Field(
        "FAK", description="FAK (fill what is there), FOK (all or nothing) or GTC (resting limit)"
    )
    max_slippage_ticks: int = Field(2, ge=0, le=50, description="ticks beyond the touch an order may pay, 0 to 50")
    exit_max_discount_usd: Usd = Field(
        Decimal("0.10"),
        ge=Decimal("0.01"),
        lt=1,
        description="dollars a share below the middle of the book at which a forced exit rests rather than sells, "
        "0.01 to below 1",
    )
    flow_stale_s: float = Field(
        30.0,
        gt=0,
        le=900,
        description="age that makes the fast venue stale, above 0 to 900 s at W = 900, never below 2 s",
    )
    silence_s: float = Field(10.0, ge=1, le=300, description="a socket silent for this long is reconnected, 1 to 300 s")
    decision_grid_ms: int = Field(500, ge=100, le=10_000, description="time between decisions, 100 to 10000 ms")
    sample_actions: bool = Field(
        default=True, description="true: draw actions while learning; false: the most probable"
    )
    learn_live: bool = Field(
        default=False, description="true: the learner hears what live orders came of, in live and dual"
    )
    policy: Literal["shipped", "fresh", "hold", "random", "momentum", "mean-reversion", "fade-spike", "fair-value"] = (
        Field("shipped", description="what decides: shipped (trained), fresh (untrained) or a baseline")
    )
    weights: Path | None = Field(None, description="file of a policy's weights, instead of FUSEBOX_POLICY")
    shadow: Path | None = Field(
        None, description="file of another policy's weights: what it would have done is written down beside"
    )
    learn: bool = Field(
        default=True, description="true: the policy goes on learning from what it trades; false: it stays as it is"
    )
    learning_profile: str = Field(
        "online", description="hyperparameters of that: a name in config/learning, or a TOML file"
    )
    discord_webhook_url: SecretStr | None = Field(
        None, description="https:// address of a Discord webhook that alerts are sent to; none for no such channel"
    )
    alert_channels: SecretStr | None = Field(
        None, description="more channels for alerts: NAME=https://..., comma-separated; discord is a NAME"
    )
    alert_level: Literal["routine", "notable", "urgent"] = Field(
        "routine", description="least important alerts that are sent; those below are in the table alerts only"
    )
    alert_group_s: float = Field(
        2.0, ge=0, le=60, description="how long an alert waits for others to share its message, 0 to 60 s"
    )
    live_opt_in: str = Field("", description=f"{REAL_MONEY} in full, or live trading is refused")
    private_key: SecretStr | None = Field(
        None, description="key that signs orders: 0x and 64 hexadecimal digits; none for paper"
    )
    private_key_file: Path | None = Field(
        None, description="file that holds the private key instead, readable by its owner alone"
    )
    funder: Annotated[str, Field(pattern=r"^0x[0-9a-fA-F]{40}$")] | None = Field(
        None, description="address whose dollars are used: 0x and 40 hexadecimal digits; for live"
    )
    signature_type: Literal[0, 1, 2, 3] | None = Field(
        None, description="how the funder's wallet signs: 0 plain, 1 proxy, 2 Safe, 3 deposit wallet; for live"
    )
    exchange_faults: str = Field(
        "", description="how the embedded exchange misbehaves: default, or a fault plan's file; empty for not at all"
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - the library's signature
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take what `config.load` has layered and read nothing else: the environment is an argument there."""
        return (init_settings,)

    @field_validator("assets", "hold_to_settlement", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(part.strip().upper() for part in value.split(",") if part) if isinstance(value, str) else value

    @field_validator("assets")
    @classmethod
    def _known(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        unknown = [asset for asset in value if asset not in KNOWN_ASSETS]
        if unknown or not value or len(set(value)) != len(value):
            raise ValueError("each of them once, at least one, and no other")
        return value

    @field_validator("signature_type", mode="before")
    @classmethod
    def _number(cls, value: object) -> object:
        return int(value) if isinstance(value, str) and value.isdecimal() else value

    @field_validator("state_dir", "weights", "shadow", "private_key_file")
    @classmethod
    def _absolute(cls, value: Path | None) -> Path | None:
        return None if value is None else PROJECT_ROOT / value.expanduser()

    @field_validator("database_url")
    @classmethod
    def _postgres(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not value.get_secret_value().startswith(("postgres://", "postgresql://")):
            raise ValueError("not a PostgreSQL address")
        if value is not None:
            urlsplit(value.get_secret_value())  # what it says of a bad one shows nothing of it
        return value

    @field_validator("discord_webhook_url")
    @classmethod
    def _https(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not _is_private(value.get_secret_value()):
            raise ValueError("not an https:// address")
        return value

    @field_validator("alert_channels")
    @classmethod
    def _named(cls, value: SecretStr | None) -> SecretStr | None:
        pairs = _pairs(value)
        if any(not name or not _is_private(url) for name, url in pairs):
            raise ValueError("not NAME=https://... each")
        if len({name for name, _ in pairs}) != len(pairs):
            raise ValueError("each NAME once")
        return value

    @model_validator(mode="after")
    def _agree(self) -> "Settings":
        if self.profile == "real" and self.window_s != REFERENCE_LENGTH_S:
            raise ValueError(
                f"FUSEBOX_WINDOW_S={self.window_s}: the real venue's windows last 900 s; unset it or use the demo"
            )
        if DAY_S % self.window_s:
            raise ValueError(
                f"FUSEBOX_WINDOW_S={self.window_s}: a day must be a whole number of windows; "
                f"take 20, 30, 60, 120, 300 or 900"
            )
        if self.weights is not None and self.policy != SHIPPED:
            raise ValueError(
                f"FUSEBOX_POLICY={self.policy} and FUSEBOX_WEIGHTS={self.weights.name}: unset one, either decides alone"
            )
        if self.discord_webhook_url is not None and any(name == DISCORD for name, _ in _pairs(self.alert_channels)):
            raise ValueError("FUSEBOX_ALERT_CHANNELS: names discord, as DISCORD_WEBHOOK_URL does; unset one")
        if self.trade_size_usd > self.starting_cash_usd:
            raise ValueError(
                f"FUSEBOX_TRADE_SIZE_USD={self.trade_size_usd}: must not exceed "
                f"FUSEBOX_STARTING_CASH_USD ({self.starting_cash_usd})"
            )
        return self

    @property
    def scale(self) -> float:
        """W / 900."""
        return self.window_s / REFERENCE_LENGTH_S

    @property
    def learns(self) -> bool:
        """Whether the policy learns from each step: on paper unless switched off, with real money if switched on."""
        return self.learn and (self.mode == "paper" or self.learn_live)

    @property
    def venue(self) -> str:
        """What has markets of its own, and so sessions of its own: the real venue, or one embedded world."""
        if self.profile == "real":
            return "polymarket"
        return f"embedded {self.world}, seed {self.seed}, {self.window_s} s"

    @property
    def channel_urls(self) -> tuple[tuple[str, str], ...]:
        """Name and address, a secret, of each channel for alerts."""
        hook = self.discord_webhook_url
        own = () if hook is None else ((DISCORD, hook.get_secret_value()),)
        return own + _pairs(self.alert_channels)

    @property
    def starting_cash(self) -> int:
        """Starting cash in 1e-6 dollars."""
        return micros(self.starting_cash_usd)

    @property
    def exit_max_discount(self) -> int:
        """How far below the middle of the book a forced exit sells, price in 1e-6."""
        return micros(self.exit_max_discount_usd)

    @property
    def open_needs_s(self) -> float:
        """Seconds that must be left for an opening in this run's windows."""
        return self.min_seconds_left_to_open * self.scale

    @property
    def exit_before_close_s(self) -> float:
        """Seconds before the close at which this run's positions are sold."""
        return self.exit_seconds_before_close * self.scale

    @property
    def book_stale_after_s(self) -> float:
        """Seconds after which this run calls a book stale; sockets need two even in a short window."""
        return max(STALE_FLOOR_S, self.book_stale_s * self.scale)

    @property
    def book_exit_after_s(self) -> float:
        """Seconds after which this run sells what is held on a stale book."""
        return max(2 * STALE_FLOOR_S, self.stale_book_exit_s * self.scale)

    @property
    def flow_stale_after_s(self) -> float:
        """Seconds after which this run calls the fast venue's flow stale."""
        return max(STALE_FLOOR_S, self.flow_stale_s * self.scale)

    def public(self) -> dict[str, Any]:
        """Return the settings for people and for the database: JSON values, secrets only as set or not."""
        shown: dict[str, Any] = self.model_dump(mode="json", exclude=set(SECRETS))
        return shown | {name: "set" if getattr(self, name) else None for name in sorted(SECRETS)}


def _pairs(channels: SecretStr | None) -> tuple[tuple[str, str], ...]:
    """Return name and address of each of the channels that `alert_channels` lists."""
    parts = () if channels is None else channels.get_secret_value().split(",")
    cut = (part.strip().partition("=") for part in parts if part.strip())
    return tuple((name, url) for name, _, url in cut)


def _is_private(url: str) -> bool:
    """Return whether nobody on the way reads what is sent there: https, or a server on this very host."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return False
    return bool(host) and (parts.scheme == "https" or (parts.scheme == "http" and bool(LOOPBACK.fullmatch(host))))
