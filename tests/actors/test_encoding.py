"""What is encoded piece by piece reads as what is encoded at once, and only what changed is encoded anew."""

import msgspec

from actors.encoding import EncodedOnce
from actors.executor import ExecutorState
from tests.live_execution.world import LiveWorld


def test_a_state_encoded_piece_by_piece_reads_as_the_whole() -> None:
    world = LiveWorld()
    world.propose("UP")
    world.run_s(3)
    state = world.executor
    assert state.closed
    once = EncodedOnce()
    for _ in range(2):
        pieces = {
            "working": {},
            "closed": once.encode(state.closed),
            "client": state.client,
            "opened_ms": state.opened_ms,
        }
        assert msgspec.msgpack.decode(msgspec.msgpack.encode(pieces), type=ExecutorState) == state


def test_only_what_changed_is_encoded_again_and_what_is_gone_is_forgotten() -> None:
    once, first, second = EncodedOnce(), (1, "a"), (2, "b")
    before = once.encode({"x": first, "y": second})
    after = once.encode({"x": first, "y": (3, "c")})
    assert after["x"] is before["x"]
    assert msgspec.msgpack.decode(after["y"]) == [3, "c"]
    assert list(once.encode({"y": second})) == ["y"]
