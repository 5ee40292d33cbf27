"""The running process's picture for the web page: once a second, on a thread and a connection of its own.

Trading never waits for it and never fails with it: what cannot be written is left out, and said when that begins and
when it ends.
"""

import threading
import time
from collections.abc import Callable

import msgspec
from loguru import logger

from actors.addresses import PAPER_PORTFOLIO, PORTFOLIO
from cli.status_report import Status
from core.errors import FuseboxError, TransientError
from core.runtime.board import StatusBoard
from core.status import AssetStatus, HoldingStatus, PortfolioStatus
from storage.pool import Connection
from storage.snapshots import AccountSample, AssetSample, Snapshot, prune, save, snapshot_connection

EVERY_S = 1.0
AFTER_S = 0.45
"""Past the second: each asset has decided on its step of the grid by then, and the next one is not due yet."""
PRUNE_EVERY_S = 60.0
STOP_WITHIN_S = 0.1
"""Its last picture is worth no more of the stop than that: the thread ends with the process."""
BACKOFF_S = (1.0, 2.0, 5.0)


class Snapshots:
    """Writes what `take` returns, once a second.

    Args:
        conninfo: where the database is now; None while that is not known.
        epoch: the lease's epoch of this process: the database refuses the picture of one that has lost it.
        take: makes the snapshot; called in this thread.
    """

    def __init__(self, conninfo: Callable[[], str | None], epoch: int, take: Callable[[], Snapshot]) -> None:
        self._conninfo = conninfo
        self._epoch = epoch
        self._take = take
        self._stopping = threading.Event()
        self._told = False
        self._thread = threading.Thread(target=self._run, name="snapshots", daemon=True)

    def start(self) -> None:
        """Start writing."""
        self._thread.start()

    def stop(self) -> None:
        """Write no more; what is being written may still come."""
        self._stopping.set()
        self._thread.join(STOP_WITHIN_S)

    def _run(self) -> None:
        failures = 0
        while not self._stopping.is_set():
            try:
                with self._connect() as connection:
                    self._write(connection)
            except FuseboxError as error:
                self._tell(str(error))
            except Exception as error:  # noqa: BLE001 -- a picture that cannot be made must not end the process
                self._tell(f"defect: {type(error).__name__}: {error}")
            self._stopping.wait(BACKOFF_S[min(failures, len(BACKOFF_S) - 1)])
            failures = failures + 1 if self._told else 0

    def _connect(self) -> Connection:
        conninfo = self._conninfo()
        if conninfo is None:
            raise TransientError("the database is not there")
        return snapshot_connection(conninfo)

    def _write(self, connection: Connection) -> None:
        prune_s = time.monotonic()
        while not self._stopping.wait(EVERY_S - (time.time() - AFTER_S) % EVERY_S):
            snapshot = self._take()
            if not save(connection, snapshot, lease_epoch=self._epoch):
                continue  # another process trades: it paints its own
            if self._told:
                self._told = False
                logger.info("the web page is given its picture again")
            if time.monotonic() >= prune_s:
                prune_s = time.monotonic() + PRUNE_EVERY_S
                prune(connection, snapshot.session_id, snapshot.at_ms)

    def _tell(self, why: str) -> None:
        if not self._told and not self._stopping.is_set():
            self._told = True
            logger.warning("the web page is not given its picture: {}; trying again", why)


def snapshot_of(status: Status, board: StatusBoard) -> Snapshot:
    """Return a status document with the samples of the same moment, which the status board has in full precision."""
    held = _view(board, PORTFOLIO.name)
    paper = _view(board, PAPER_PORTFOLIO.name)
    shown = [each for line in status.assets if (each := _asset(board, line.asset)) is not None]
    accounts = []
    if held is not None:
        accounts.append(account_sample(held, sum(each.unrealised_usd for each in shown)))
    if paper is not None:
        accounts.append(account_sample(paper, None))
    return Snapshot(
        session_id=status.process.session,
        at_ms=status.at_ms,
        status=msgspec.json.encode(status),
        assets=tuple(asset_sample(each, None if held is None else held.holdings.get(each.asset)) for each in shown),
        accounts=tuple(accounts),
    )


def asset_sample(status: AssetStatus, holding: HoldingStatus | None) -> AssetSample:
    """Return what is kept of one asset for its charts."""
    return AssetSample(
        asset=status.asset,
        condition_id=status.condition_id,
        up_price=status.up_price,
        fair_value=status.fair,
        spot=status.spot,
        strike=status.strike,
        probabilities=status.probabilities,
        side=None if holding is None else holding.side,
        shares=0 if holding is None else holding.shares,
        net_usd=None if holding is None else holding.realised_usd + status.unrealised_usd,
        best_bid=status.bids[0][0] if status.bids else None,
        best_ask=status.asks[0][0] if status.asks else None,
        bid_shares=sum(size for _, size in status.bids) if status.bids else None,
        ask_shares=sum(size for _, size in status.asks) if status.asks else None,
    )


def account_sample(held: PortfolioStatus, open_pnl_usd: int | None) -> AccountSample:
    """Return an account's equity: its cash, what its positions cost, and what they would bring more or less."""
    return AccountSample(
        session_id=held.session_id,
        cash_usd=held.cash_usd,
        equity_usd=None if open_pnl_usd is None else held.cash_usd + held.cost_usd + open_pnl_usd,
        pnl_net_usd=held.realised_usd,
        open_pnl_usd=open_pnl_usd,
    )


def _view(board: StatusBoard, key: str) -> PortfolioStatus | None:
    shown = board.read(key)
    return shown[0] if shown is not None and isinstance(shown[0], PortfolioStatus) else None


def _asset(board: StatusBoard, asset: str) -> AssetStatus | None:
    shown = board.read(f"asset {asset}")
    return shown[0] if shown is not None and isinstance(shown[0], AssetStatus) else None
