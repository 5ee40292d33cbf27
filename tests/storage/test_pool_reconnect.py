"""A pool whose server was away for long finds it again at once, however often it was asked meanwhile."""

import time
from pathlib import Path

import pytest

from core.errors import TransientError
from storage.embedded import EmbeddedServer
from storage.pool import open_pool


def test_the_pause_before_a_reconnect_does_not_grow_with_the_outage(state_dir: Path) -> None:
    server = EmbeddedServer(state_dir)
    pool = open_pool(server.start())
    try:
        server.stop()
        for _ in range(4):  # the driver's own next attempt after these would be three seconds away
            with pytest.raises(TransientError), pool.connection(1.0):
                pass
        server.start()
        began_s = time.monotonic()
        while True:
            try:
                with pool.connection(1.0) as connection:
                    assert connection.execute("SELECT 1").fetchone() == (1,)
            except TransientError:
                assert time.monotonic() - began_s < 2.5
            else:
                break
    finally:
        pool.close()
        server.stop()
    assert time.monotonic() - began_s < 2.5
