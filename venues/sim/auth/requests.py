"""Whether a request was made by the owner of a key: level 1 (a wallet's signature) and level 2 (an HMAC)."""

import base64
import hashlib
import hmac
from collections.abc import Mapping

import msgspec
from eth_utils.crypto import keccak

from venues.sim.auth.eip712 import Domain, Word, digest, domain_separator, struct_hash, word
from venues.sim.auth.keys import ApiKey, KeyRing
from venues.sim.auth.recovery import Recovery
from venues.sim.trading.values import VenueError

CHAIN_ID = 137
SKEW_S = 30
"""How far a request's timestamp may lie from our clock. The venue's own tolerance is not published."""

_L1_REFUSED, _L2_REFUSED = "Invalid L1 Request headers", "Unauthorized/Invalid api key"
_UNAUTHORIZED = 401
_AUTH_DOMAIN = Domain("ClobAuthDomain", "1", CHAIN_ID)
_AUTH_TYPE = "ClobAuth(address address,string timestamp,uint256 nonce,string message)"
_STATEMENT = "This message attests that I control the given wallet"


class Claim(msgspec.Struct, frozen=True):
    """A wallet that was proven to be the caller's (lower case), and the nonce of the key it asks for."""

    address: str
    nonce: int


async def wallet_claim(headers: Mapping[str, str], now_s: int, recovery: Recovery) -> Claim:
    """Return who signed a level 1 request. Raises VenueError 401 unless it is the address it names, and fresh."""
    refused = VenueError(_UNAUTHORIZED, _L1_REFUSED)
    try:
        address, stamp = headers["POLY_ADDRESS"], headers["POLY_TIMESTAMP"]
        nonce, signature = int(headers.get("POLY_NONCE") or 0), _hex(headers["POLY_SIGNATURE"])
        members: list[Word] = [word(address), keccak(text=stamp), nonce, keccak(text=_STATEMENT)]
        signed = digest(domain_separator(_AUTH_DOMAIN), struct_hash(_AUTH_TYPE, members))
    except (KeyError, ValueError):
        raise refused from None
    if not _fresh(stamp, now_s) or await recovery.signer(signed, signature) != address.lower():
        raise refused
    return Claim(address.lower(), nonce)


def key_of(headers: Mapping[str, str], method: str, path: str, body: bytes, now_s: int, ring: KeyRing) -> ApiKey:
    """Return the key a level 2 request was signed with.

    The signature covers timestamp, method, path without query, and the body's exact bytes.

    Raises:
        VenueError: 401, for an unknown key, another's address or passphrase, a wrong signature, or a stale timestamp.
    """
    key = ring.named(headers.get("POLY_API_KEY", ""))
    stamp = headers.get("POLY_TIMESTAMP", "")
    if key is None or not _fresh(stamp, now_s) or headers.get("POLY_ADDRESS", "").lower() != key.address:
        raise VenueError(_UNAUTHORIZED, _L2_REFUSED)
    message = f"{stamp}{method}{path}".encode() + body
    expected = base64.urlsafe_b64encode(hmac.digest(base64.urlsafe_b64decode(key.secret), message, hashlib.sha256))
    passphrase, signature = headers.get("POLY_PASSPHRASE", ""), headers.get("POLY_SIGNATURE", "")
    same_phrase = hmac.compare_digest(passphrase.encode(), key.passphrase.encode())
    if not (hmac.compare_digest(signature.encode(), expected) and same_phrase):
        raise VenueError(_UNAUTHORIZED, _L2_REFUSED)
    return key


def key_of_frame(api_key: str, secret: str, passphrase: str, ring: KeyRing) -> ApiKey | None:
    """Return the key a websocket's first frame names, None unless all three parts are right."""
    key = ring.named(api_key)
    if key is None:
        return None
    right = hmac.compare_digest(f"{secret}|{passphrase}".encode(), f"{key.secret}|{key.passphrase}".encode())
    return key if right else None


def _fresh(stamp: str, now_s: int) -> bool:
    return stamp.isascii() and stamp.isdigit() and abs(int(stamp[:20]) - now_s) <= SKEW_S


def _hex(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))
