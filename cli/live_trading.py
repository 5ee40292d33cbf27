"""Live trading from the settings: keys, order version and account, checked before anything is opened.

Whatever speaks against it is told at once, one line each with its remedy; nothing is sent before all of it is mended.
"""

import time
from collections.abc import Callable, Sequence
from random import SystemRandom

import msgspec
from loguru import logger

from actors.execution import ExecutionClient, Working
from actors.execution_live import LiveExecutionClient, LiveSession
from actors.live_reconciliation import LOOKBACK_S
from cli.live_wallet import wallet_of
from cli.wiring import Trading
from config.settings import Settings
from core.errors import FatalError, TransientError
from core.runtime.stream import Stream
from venues.polymarket.account import Account
from venues.polymarket.auth import Level2
from venues.polymarket.clob import Clob
from venues.polymarket.connection import Connections
from venues.polymarket.fills import VENUE, Identity
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
ASK_AGAIN_S = (1.0, 2.0, 4.0, 8.0)
"""Waits between attempts to check the account."""


class Live(msgspec.Struct, frozen=True):
    """An account that may be traded: its address, its dollars (1e-6), and what trades it."""

    funder: str
    cash_usd: int
    account: LiveAccount
    user_stream: Callable[[Callable[[], bool]], Stream]
    close: Callable[[], None]
    max_failures: int | None = None
    """Orders in a row that fail and shut the gate."""

    def asks_from_ms(self, now_ms: int) -> int:
        """Return since when the venue is asked for trades by who starts at `now_ms`; both unix milliseconds."""
        return now_ms - LOOKBACK_S * 1000

    def trading(
        self,
        session_id: int,
        since_s: int,
        recorded_hashes: dict[str, str],
        log: Callable[[str], None],
        unconfirmed: tuple[Working, ...] = (),
        booked: frozenset[tuple[str, str]] = frozenset(),
    ) -> Trading:
        """Return who executes a session's orders; what the database knows of the unfinished ones comes along."""
        again = LiveSession(session_id, since_s, recorded_hashes, booked=booked)
        first = msgspec.structs.replace(again, unconfirmed=unconfirmed)

        def made(saved: bytes, of_this_process: bool) -> ExecutionClient:  # noqa: FBT001 -- the executor's hook
            session, kept = (again, saved) if of_this_process else (first, b"")
            return LiveExecutionClient(
                self.account, self.user_stream, session, log, kept, max_failures=self.max_failures
            )

        return Trading(VENUE, made, live=True)


def open_live(
    settings: Settings,
    clob_url: str,
    user_ws_url: str,
    now_ms: Callable[[], int],
    sleep: Callable[[float], None] = time.sleep,
) -> Live:
    """Return the account, checked: clock, order version, key, dollars, allowance.

    A venue that limits us, or cannot be reached, is asked again a few times: what we hold may need its exits.

    Raises:
        ConfigError: the settings do not allow it.
        FatalError: one line for each thing that must be mended first.
        TransientError: the venue still cannot be asked.
    """
    for wait_s in ASK_AGAIN_S:
        try:
            return _opened(settings, clob_url, user_ws_url, now_ms)
        except TransientError as error:
            logger.warning("{}; asking again in {:g} s", error, wait_s)
            sleep(wait_s)
    try:
        return _opened(settings, clob_url, user_ws_url, now_ms)
    except TransientError as error:
        raise TransientError(f"the venue at {clob_url} cannot be asked, try again later: {error}") from error


def _opened(settings: Settings, clob_url: str, user_ws_url: str, now_ms: Callable[[], int]) -> Live:
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

    failures = settings.max_order_failures or None
    return Live(funder, reading.cash().units, account, user_stream, connections.close, failures)


def _refuse(settings: Settings, problems: Sequence[object]) -> None:
    if problems:
        raise FatalError("\n".join(f"mode {settings.mode} is refused: {problem}" for problem in problems))
