"""The status board: the newest view of everything worth showing, readable from any thread without asking an actor."""

import threading


class StatusBoard:
    """A thread-safe map of key to (view, monotonic milliseconds of its publication)."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._views: dict[str, tuple[object, float]] = {}

    def publish(self, key: str, view: object, at_ms: float) -> None:
        """Replace the view under `key`."""
        with self._lock:
            self._views[key] = (view, at_ms)

    def read(self, key: str) -> tuple[object, float] | None:
        """Return the view under `key` and when it was published, None if nothing was."""
        with self._lock:
            return self._views.get(key)

    def remove(self, key: str) -> None:
        """Forget the view under `key`, if there is one."""
        with self._lock:
            self._views.pop(key, None)
