"""What the DiscoveryActor cannot ask for again: the settlement price that was told once, as a window opened."""

from collections.abc import Mapping

import msgspec


class DiscoveryState(msgspec.Struct, frozen=True):
    """The checkpoint: (asset, opening in unix seconds, price) of each window whose opening tick was heard."""

    strikes: tuple[tuple[str, int, float], ...] = ()


def packed(strikes: Mapping[tuple[str, int], float]) -> bytes:
    """Return the checkpoint of strikes by asset and opening."""
    listed = tuple((asset, opens_at_s, price) for (asset, opens_at_s), price in strikes.items())
    return msgspec.msgpack.encode(DiscoveryState(listed))


def unpacked(saved: bytes | None) -> dict[tuple[str, int], float]:
    """Return the strikes in a checkpoint, none where there is none."""
    state = DiscoveryState() if saved is None else msgspec.msgpack.decode(saved, type=DiscoveryState)
    return {(asset, opens_at_s): price for asset, opens_at_s, price in state.strikes}
