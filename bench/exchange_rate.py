"""Orders a second that the embedded exchange takes over HTTP, from one client and from several, with a ledger or not.

    python -m bench.exchange_rate [--orders 2000] [--clients 4]

Orders are signed beforehand. `resting` ones are bids far below the book, `taking` ones small buys at the touch with the
taker delay set to nothing. Clients are threads of this process, each with a wallet, a key and a connection of its own:
they share the machine's processors with the exchange, which is one process.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from random import Random

import msgspec

from core.errors import FatalError, FuseboxError
from core.market.market import Market
from core.market.window import REFERENCE_LENGTH_S, Window
from core.trading.money import MICRO
from core.trading.orders import Order, OrderType
from venues.polymarket.auth import Level2
from venues.polymarket.connection import Connections
from venues.polymarket.credentials import Secret, Wallet
from venues.polymarket.gamma import Gamma
from venues.polymarket.keys import Keys
from venues.polymarket.order_client import OrderClient
from venues.polymarket.session import Session
from venues.polymarket.signing import OrderSigner, OrderTerms, SignedOrder, signer_address
from venues.polymarket.versions import order_format

ROOT = Path(__file__).resolve().parent.parent
FAR_BELOW, ABOVE = 10_000, 990_000
"""Prices of resting and of taking orders, 1e-6 dollars."""
RESTING_SHARES, TAKING_SHARES = 5 * MICRO, 2 * MICRO


class Served(msgspec.Struct, frozen=True):
    """Where the exchange listens."""

    gamma: str
    clob: str


class Client:
    """One wallet on the exchange, and the orders it is going to send."""

    def __init__(self, served: Served, number: int, market: Market) -> None:
        wallet = Wallet(Secret("0x" + f"{number + 1:064x}"), 0, None)
        connections = Connections(served.clob)
        key = Keys(connections, wallet, _now_ms).api_key()
        self._orders = OrderClient(Session(connections, Level2(signer_address(wallet), key, _now_ms)))
        self._signer = OrderSigner(order_format(2, wallet), _now_ms, Random(number))
        self._market = market
        self._signed: list[SignedOrder] = []
        self.taken_ms: list[float] = []
        self.refused = 0

    def prepare(self, count: int, order_type: OrderType, price: int) -> None:
        """Sign what `run` sends."""
        market = self._market
        shares = RESTING_SHARES if price == FAR_BELOW else TAKING_SHARES
        order = Order(
            "o", "i", "BTC", market.condition_id, market.up_token, "UP", "BUY", order_type, price, shares, 0, 0
        )
        self._signed = [self._signer.sign(order, OrderTerms(market.tick_size)) for _ in range(count)]
        self.taken_ms, self.refused = [], 0

    def run(self) -> None:
        """Send one after the other, each when the one before was answered."""
        for signed in self._signed:
            began = time.perf_counter()
            try:
                self._orders.post(signed)
            except FuseboxError as error:
                self.refused += 1
                if self.refused == 1:
                    sys.stderr.write(f"refused: {error}\n")
            self.taken_ms.append(1000 * (time.perf_counter() - began))


def main() -> None:
    """Measure every combination and print a line for each."""
    flags = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    flags.add_argument("--orders", type=int, default=2000, help="orders of each combination")
    flags.add_argument("--clients", type=int, default=4, help="clients where there are several")
    given = flags.parse_args()
    print("ledger  orders   clients   orders/s   p50 ms   p99 ms   refused")
    for with_ledger in (False, True):
        for kind, order_type, price in (("resting", "GTC", FAR_BELOW), ("taking", "FAK", ABOVE)):
            for count in (1, given.clients):
                with tempfile.TemporaryDirectory(prefix="bench-exchange-") as folder:
                    ledger = Path(folder) / "ledger.jsonl" if with_ledger else None
                    with exchange(ledger) as served:
                        clients = [Client(served, number, _open_market(served)) for number in range(count)]
                        for client in clients:
                            client.prepare(given.orders // count, msgspec.convert(order_type, OrderType), price)
                        rate = _together(clients)
                _line("yes" if with_ledger else "no", kind, clients, rate)


@contextmanager
def exchange(ledger: Path | None) -> Iterator[Served]:
    """Run the exchange with windows of 900 s and without a taker delay.

    Raises:
        FatalError: it did not start.
    """
    arguments = ["--window-s", str(REFERENCE_LENGTH_S), "--assets", "BTC", "--taker-delay-ms", "0", "--exit-with-stdin"]
    process = subprocess.Popen(
        [sys.executable, "-m", "venues.sim", *arguments, *([] if ledger is None else ["--ledger", str(ledger)])],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert process.stdout is not None  # noqa: S101 -- a pipe was asked for
        try:
            served = msgspec.json.decode(process.stdout.readline(), type=Served)
        except msgspec.DecodeError:
            raise FatalError("the exchange did not start: try `python -m venues.sim` by hand") from None
        yield served
    finally:
        process.terminate()
        process.communicate()


def _open_market(served: Served) -> Market:
    now_s = _now_ms() // 1000
    gamma = Gamma(served.gamma)
    try:
        market = gamma.market(Window("BTC", now_s - now_s % REFERENCE_LENGTH_S, REFERENCE_LENGTH_S))
    finally:
        gamma.close()
    if market is None:
        raise FatalError("no market is open: try again")
    return market


def _together(clients: Sequence[Client]) -> float:
    """Let all clients run and return the orders answered in a second."""
    threads = [threading.Thread(target=client.run) for client in clients]
    began_s = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(len(client.taken_ms) for client in clients) / (time.perf_counter() - began_s)


def _line(ledger: str, kind: str, clients: Sequence[Client], rate: float) -> None:
    cuts = statistics.quantiles([ms for client in clients for ms in client.taken_ms], n=100)
    refused = sum(client.refused for client in clients)
    print(f"{ledger:7} {kind:8} {len(clients):7} {rate:10.0f} {cuts[49]:8.2f} {cuts[98]:8.2f} {refused:9}")


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


if __name__ == "__main__":
    main()
