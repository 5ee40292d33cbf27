"""`run --mode live` on a test's state folder, with a wallet of its own and the exchange's default faults."""

from collections.abc import Callable

import pytest

from bench.measure.live_wallet import live_environ
from tests.system.process import Start, Supervisor

WINDOW_S = 20
SHORT = ("--mode", "live", "--window-s", str(WINDOW_S), "--assets", "BTC,ETH")
WALLET = 7


@pytest.fixture
def trade(start: Start) -> Callable[..., Supervisor]:
    """Start live trading; environment variables by keyword."""

    def run(*arguments: str, **environ: str) -> Supervisor:
        given = {"FUSEBOX_EXCHANGE_FAULTS": "default", **live_environ(WALLET), **environ}
        return start(*SHORT, *arguments, **{name: value for name, value in given.items() if value})

    return run
