"""Two ways to prove who asks: a wallet's signature (L1) for keys, an HMAC of the bytes (L2) for all else."""

from collections.abc import Callable

from py_clob_client_v2.headers import create_level_1_headers
from py_clob_client_v2.signer import Signer
from py_clob_client_v2.signing import build_hmac_signature

from core.errors import FatalError
from venues.polymarket.credentials import ApiKey, Wallet, key_bytes


def level_1_headers(wallet: Wallet, at_s: int, nonce: int = 0) -> dict[str, str]:
    """Return the headers that ask for an API key, signed by the wallet's key at `at_s` (unix seconds).

    Raises:
        FatalError: when the key is none.
    """
    signer = Signer("0x" + key_bytes(wallet.private_key).hex(), wallet.chain_id)
    headers: dict[str, str] = create_level_1_headers(signer, nonce, at_s)
    return headers


class Level2:
    """Signs requests with an API key, in the name of `address` (the wallet's signer, never the funder).

    Raises:
        FatalError: when the key's secret is not base64.
    """

    def __init__(self, address: str, api_key: ApiKey, now_ms: Callable[[], int]) -> None:
        self._address = address
        self._api_key = api_key
        self._now_ms = now_ms
        self.headers("GET", "/", b"")

    @property
    def api_key(self) -> ApiKey:
        """The key in use."""
        return self._api_key

    def headers(self, method: str, path: str, body: bytes) -> dict[str, str]:
        """Return the headers for exactly these bytes; `path` without its query."""
        at_s = self._now_ms() // 1000
        secret = self._api_key.secret.reveal()
        try:
            signature = build_hmac_signature(secret, str(at_s), method, path, body.decode())
        except ValueError:
            raise FatalError("the API key's secret is not base64: derive the key again, or copy it whole") from None
        return {
            "POLY_ADDRESS": self._address,
            "POLY_SIGNATURE": signature,
            "POLY_TIMESTAMP": str(at_s),
            "POLY_API_KEY": self._api_key.key.reveal(),
            "POLY_PASSPHRASE": self._api_key.passphrase.reveal(),
        }
