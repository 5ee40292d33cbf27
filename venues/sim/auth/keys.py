"""API keys: they follow from the world's seed, the owner's address and a nonce, so a wallet gets the same again."""

import base64
import hashlib
import hmac
import os
import uuid
from pathlib import Path

import msgspec

CREATE_REFUSED, DERIVE_REFUSED = "Could not create api key", "Could not derive api key!"


class ApiKey(msgspec.Struct, frozen=True):
    """One key: whose it is, and the three parts its owner is given."""

    address: str
    nonce: int
    api_key: str
    secret: str
    passphrase: str

    def __repr__(self) -> str:
        return f"ApiKey({self.address}, {self.api_key})"

    def credentials(self) -> dict[str, str]:
        """Return what the venue answers to whoever creates or derives the key."""
        return {"apiKey": self.api_key, "secret": self.secret, "passphrase": self.passphrase}


class _Entry(msgspec.Struct, frozen=True):
    address: str
    nonce: int
    deleted: bool = False


class KeyRing:
    """The keys that exist. With a file they survive the process: one line for each key made or deleted.

    Raises msgspec.DecodeError for a file that is not one of ours.
    """

    def __init__(self, seed: int, file: Path | None = None) -> None:
        self._seed, self._file = str(seed).encode(), file
        self._by_owner: dict[tuple[str, int], ApiKey] = {}
        self._by_key: dict[str, ApiKey] = {}
        if file is not None and file.exists():
            whole, newline, _torn = file.read_bytes().rpartition(b"\n")
            os.truncate(file, len(whole + newline))  # without the line a killed process left half written
            for line in whole.splitlines():
                self._apply(msgspec.json.decode(line, type=_Entry))

    def create(self, address: str, nonce: int) -> ApiKey | None:
        """Return a new key for this owner and nonce, None when there is one already."""
        if (address, nonce) in self._by_owner:
            return None
        self._record(_Entry(address, nonce))
        return self._by_owner[address, nonce]

    def derive(self, address: str, nonce: int) -> ApiKey | None:
        """Return the key that was created for this owner and nonce, None when none was."""
        return self._by_owner.get((address, nonce))

    def named(self, api_key: str) -> ApiKey | None:
        """Return the key with this name."""
        return self._by_key.get(api_key)

    def of_address(self, address: str) -> list[ApiKey]:
        """Return every key of one owner."""
        return [key for key in self._by_owner.values() if key.address == address]

    def delete(self, key: ApiKey) -> None:
        """Make a key worthless; its owner may create it again."""
        self._record(_Entry(key.address, key.nonce, deleted=True))

    def _record(self, entry: _Entry) -> None:
        if self._file is not None:
            with self._file.open("ab") as file:
                file.write(msgspec.json.encode(entry) + b"\n")
                file.flush()
                os.fsync(file.fileno())
        self._apply(entry)

    def _apply(self, entry: _Entry) -> None:
        key = self._make(entry.address, entry.nonce)
        if entry.deleted:
            self._by_owner.pop((key.address, key.nonce), None)
            self._by_key.pop(key.api_key, None)
        else:
            self._by_owner[key.address, key.nonce] = self._by_key[key.api_key] = key

    def _make(self, address: str, nonce: int) -> ApiKey:
        def part(name: str) -> bytes:
            return hmac.digest(self._seed, f"{name}|{address}|{nonce}".encode(), hashlib.sha256)

        return ApiKey(
            address=address,
            nonce=nonce,
            api_key=str(uuid.UUID(bytes=part("key")[:16])),
            secret=base64.urlsafe_b64encode(part("secret")).decode(),
            passphrase=part("passphrase").hex(),
        )
