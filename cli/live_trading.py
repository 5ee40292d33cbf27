"""Live trading from the settings: keys, order version and account, checked before anything is opened.

Whatever speaks against it is told at once, one line each with its remedy; nothing is sent before all of it is mended.
"""

import stat
from collections.abc import Callable, Sequence
from random import SystemRandom

import msgspec

from actors.execution import ExecutionClient
from actors.execution_live import LiveExecutionClient, LiveSession
from config.load import VARIABLES, ConfigError
from config.settings import REAL_MONEY, Settings
from core.errors import FatalError
from core.runtime.stream import Stream
from venues.polymarket.account import Account
from venues.polymarket.clob import Clob
from venues.polymarket.connection import Connections
from venues.polymarket.credentials import Secret, Wallet
from venues.polymarket.fills import Identity
from venues.polymarket.heartbeat import Heartbeat
from venues.polymarket.keys import Keys
from venues.polymarket.live_account import LiveAccount
from venues.polymarket.order_client import OrderClient
from venues.polymarket.preflight import account_problems, clock_problems, read_clock, wallet_problems
from venues.polymarket.session import Session
from venues.polymarket.signing import OrderSigner, funder_address, signer_address
from venues.polymarket.user_stream import UserStream
from venues.polymarket.versions import negotiate, order_format
from venues.rest import Rest

WARM_CONNECTIONS = 2
OTHERS_MAY_READ = stat.S_IRWXG | stat.S_IRWXO


class Live(msgspec.Struct, frozen=True):
    """An account that may be traded: its address, its dollars (1e-6), and what trades it."""

    funder: str
    cash_usd: int
    account: LiveAccount
    user_stream: Callable[[Callable[[], bool]], Stream]
    close: Callable[[], None]

    def client(self, session: LiveSession, log: Callable[[str], None]) -> Callable[[bytes, bool], ExecutionClient]:
        """Return what makes the executor's client of this account."""

        def made(saved: bytes, of_this_process: bool) -> ExecutionClient:  # noqa: FBT001 -- the executor's hook
            return LiveExecutionClient(self.account, self.user_stream, session, log, saved if of_this_process else b"")

        return made


def refusals(settings: Settings) -> list[str]:
    """Return what the settings lack for live trading, one line each."""
    lines = []
    if settings.live_opt_in != REAL_MONEY:
        lines.append(f"no opt-in: set {VARIABLES['live_opt_in']}={REAL_MONEY} to have orders sent with real money")
    if settings.private_key is None and settings.private_key_file is None:
        lines.append(f"no key: set {VARIABLES['private_key_file']} (or {VARIABLES['private_key']})")
    if settings.funder is None:
        lines.append(f"no funder: set {VARIABLES['funder']} to the address whose dollars are to be used")
    if settings.signature_type is None:
        lines.append(f"no signature type: set {VARIABLES['signature_type']} to 0 (plain), 1 (proxy), 2 (Safe) or 3")
    if "trade_size_usd" not in settings.model_fields_set:
        lines.append(f"no limit chosen: set {VARIABLES['trade_size_usd']} to the dollars of a full-size position")
    return lines


def wallet_of(settings: Settings) -> Wallet:
    """Return the wallet that the settings name.

    Raises:
        ConfigError: something is missing, or the key's file is not ours alone.
    """
    lines = refusals(settings)
    if lines:
        raise ConfigError("\n".join(f"mode {settings.mode} is refused: {line}" for line in lines))
    return Wallet(_private_key(settings), settings.signature_type or 0, settings.funder)


def open_live(settings: Settings, clob_url: str, user_ws_url: str, now_ms: Callable[[], int]) -> Live:
    """Return the account, checked: clock, order version, key, dollars, allowance.

    Raises:
        ConfigError: the settings do not allow it.
        FatalError: one line for each thing that must be mended first.
        TransientError: the venue cannot be asked.
    """
    wallet = wallet_of(settings)
    problems = wallet_problems(wallet)
    clob = Clob(clob_url)
    problems += clock_problems(read_clock(clob.time_s, now_ms))
    _refuse(settings, problems)
    rest = Rest(clob_url)
    order_maker = order_format(negotiate(rest), wallet)
    rest.close()
    clob.close()
    connections = Connections(clob_url)
    key = Keys(connections, wallet, now_ms).api_key()
    from venues.polymarket.auth import Level2  # noqa: PLC0415 -- it loads the vendor's package, which takes half a second

    session = Session(connections, Level2(signer_address(wallet), key, now_ms))
    reading = Account(session, wallet.signature_type)
    _refuse(settings, account_problems(reading, wallet, order_maker.exchange(neg_risk=False), settings.trade_size))
    client = OrderClient(session)
    client.warm(WARM_CONNECTIONS)
    funder = funder_address(wallet)
    account = LiveAccount(
        Identity(funder.lower(), key.key.reveal()),
        OrderSigner(order_maker, now_ms, SystemRandom()),
        client,
        reading,
        Heartbeat(session),
    )

    def user_stream(expects: Callable[[], bool]) -> Stream:
        return UserStream(user_ws_url, key, (), now_ms, expects=expects, silence_s=settings.silence_s)

    return Live(funder, reading.cash().units, account, user_stream, connections.close)


def _refuse(settings: Settings, problems: Sequence[object]) -> None:
    if problems:
        raise FatalError("\n".join(f"mode {settings.mode} is refused: {problem}" for problem in problems))


def _private_key(settings: Settings) -> Secret:
    if settings.private_key_file is None:
        assert settings.private_key is not None  # noqa: S101 -- `refusals` has seen to it
        return Secret(settings.private_key.get_secret_value())
    path = settings.private_key_file
    try:
        if path.stat().st_mode & OTHERS_MAY_READ:
            raise ConfigError(f"{VARIABLES['private_key_file']}={path}: others may read it: chmod 600 {path}")
        return Secret(path.read_text(encoding="ascii").strip())
    except OSError as error:
        raise ConfigError(f"{VARIABLES['private_key_file']}={path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError:
        raise ConfigError(f"{VARIABLES['private_key_file']}={path}: holds no key in hexadecimal digits") from None
