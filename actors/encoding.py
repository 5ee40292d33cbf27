"""Checkpoints of many values of which few change from one to the next: what did not change is not encoded again."""

from collections.abc import Mapping

import msgspec


class EncodedOnce:
    """MessagePack of immutable values by key, kept for as long as a key has the same value."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[object, msgspec.Raw]] = {}

    def encode(self, values: Mapping[str, object]) -> dict[str, msgspec.Raw]:
        """Return each value encoded; what is no longer among `values` is forgotten."""
        before, self._kept = self._kept, {}
        for key, value in values.items():
            entry = before.get(key)
            if entry is None or entry[0] is not value:
                entry = (value, msgspec.Raw(msgspec.msgpack.encode(value)))
            self._kept[key] = entry
        return {key: raw for key, (_, raw) in self._kept.items()}
