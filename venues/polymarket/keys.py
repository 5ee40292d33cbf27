"""API keys: derived from the wallet, created the first time, kept in memory only."""

from collections.abc import Callable
from threading import Lock

import msgspec

from core.errors import TransientError, UnknownOutcomeError
from venues.polymarket.auth import level_1_headers
from venues.polymarket.connection import Answer, Connections
from venues.polymarket.credentials import ApiKey, Secret, Wallet, scrubbed
from venues.polymarket.order_errors import OrderRejectedError, Reason, refusal
from venues.polymarket.session import OK, decoded

_BAD_REQUEST = 400


class _Key(msgspec.Struct, rename={"key": "apiKey"}):
    key: str
    secret: str
    passphrase: str


class Keys:
    """The API key of one wallet, asked for once; safe from any thread."""

    def __init__(self, connections: Connections, wallet: Wallet, now_ms: Callable[[], int]) -> None:
        self._connections = connections
        self._wallet = wallet
        self._now_ms = now_ms
        self._lock = Lock()
        self._key: ApiKey | None = None

    def api_key(self) -> ApiKey:
        """Return the wallet's key: derived, or created where there is none yet.

        Raises:
            FatalError: when the private key is none.
            OrderRejectedError: when the venue refuses the wallet's signature or gives no key.
            TransientError: when the venue could not be asked; asking again is harmless.
        """
        with self._lock:
            if self._key is None:
                self._key = self.derived() or self._created()
            return self._key

    def derived(self) -> ApiKey | None:
        """Ask for the wallet's key without having one created; None where there is none yet.

        Raises:
            FatalError, OrderRejectedError, TransientError: as `api_key` does.
        """
        answer = self._asked("GET", "/auth/derive-api-key")
        # the venue's way to say that there is none yet
        return None if answer.status == _BAD_REQUEST else _key_of(answer, "GET /auth/derive-api-key")

    def _created(self) -> ApiKey:
        return _key_of(self._asked("POST", "/auth/api-key"), "POST /auth/api-key")

    def _asked(self, method: str, path: str) -> Answer:
        headers = level_1_headers(self._wallet, self._now_ms() // 1000)
        try:
            return self._connections.request(method, path, headers)
        except UnknownOutcomeError as error:
            raise TransientError(scrubbed(str(error), self._wallet.private_key)) from error


def _key_of(answer: Answer, what: str) -> ApiKey:
    if answer.status != OK:
        error = refusal(answer)
        if isinstance(error, OrderRejectedError):
            if error.reason is Reason.BLOCKED:  # it never came to the key
                raise error
            raise OrderRejectedError(Reason.CREDENTIALS, f"{what}: {error.text}")
        # a key that was made unseen is derived the next time
        raise TransientError(f"{what}: {error}")
    wire = decoded(answer, _Key, what)
    if not (wire.key and wire.secret and wire.passphrase):
        raise OrderRejectedError(Reason.CREDENTIALS, f"{what}: the answer holds no key")
    return ApiKey(Secret(wire.key), Secret(wire.secret), Secret(wire.passphrase))
