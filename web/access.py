"""Who may see the page and who may act: the password, the signed cookie, the token of an action, the attempts allowed.

Everything that is signed is signed with a key made from the password, so that a page server that was restarted, or one
of several, knows the cookies of the others, and a new password ends every session.
"""

import hashlib
import hmac
import ipaddress
import secrets
import time
from collections.abc import Callable

COOKIE = "fusebox_session"
SESSION_S = 24 * 3600
ATTEMPTS, ATTEMPTS_OF_ALL = 5, 60
ATTEMPTS_WITHIN_S = 60.0
ANYONE = "anyone"
"""The session of a page without a password."""


class Access:
    """The page's password, if it has one.

    Args:
        password: None: whoever reaches the page may use it.
        now_s: unix seconds.
    """

    def __init__(self, password: str | None, now_s: Callable[[], float] = time.time) -> None:
        self._now_s = now_s
        self._key = secrets.token_bytes(32)
        self._digest = b""
        self.needs_password = password is not None
        if password is not None:
            # slow on purpose: a cookie that was overheard must not be a quick way to try passwords
            self._key = hashlib.scrypt(password.encode(), salt=b"fusebox page", n=2**14, r=8, p=1, dklen=32)
            self._digest = self._signed(password)

    def is_password(self, given: str) -> bool:
        """Whether that is the password, in a time that does not tell how much of it was right."""
        return self.needs_password and hmac.compare_digest(self._signed(given), self._digest)

    def new_session(self) -> str:
        """Return a cookie's value that is good for a day."""
        body = f"{int(self._now_s()) + SESSION_S}.{secrets.token_urlsafe(12)}"
        return f"{body}.{self._signed(f'session {body}').hex()}"

    def session_of(self, cookie: str | None) -> str | None:
        """Return the session that a cookie stands for; None for none, a forged one, or one that has ended."""
        if not self.needs_password:
            return ANYONE
        body, _, signature = (cookie or "").rpartition(".")
        if not hmac.compare_digest(self._signed(f"session {body}").hex().encode(), signature.encode()):
            return None
        ends_s = body.partition(".")[0]
        return body if ends_s.isascii() and ends_s.isdigit() and int(ends_s) > self._now_s() else None

    def token_of(self, session: str) -> str:
        """Return what an action of a session has to bring along: another site cannot read it."""
        return self._signed(f"action {session}").hex()

    def is_token(self, session: str, given: str) -> bool:
        """Whether `given` is the token of that session."""
        return hmac.compare_digest(self.token_of(session).encode(), given.encode())

    def _signed(self, text: str) -> bytes:
        return hmac.digest(self._key, text.encode("utf-8", "replace"), "sha256")


class Attempts:
    """How often a password may be tried: five times a minute from one address, sixty times from all together."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._tried: dict[str, list[float]] = {}

    def wait_s(self, address: str) -> float:
        """Return how long that address has to wait; 0 counts as an attempt."""
        now_s = self._monotonic()
        self._tried = {
            each: kept
            for each, times in self._tried.items()
            if (kept := [at_s for at_s in times if now_s - at_s < ATTEMPTS_WITHIN_S])
        }
        own = self._tried.get(address, [])
        everybody = sorted(at_s for times in self._tried.values() for at_s in times)
        for times, most in ((own, ATTEMPTS), (everybody, ATTEMPTS_OF_ALL)):
            if len(times) >= most:
                return max(0.1, times[-most] + ATTEMPTS_WITHIN_S - now_s)
        self._tried[address] = [*own, now_s]
        return 0.0

    def forget(self, address: str) -> None:
        """Begin anew for an address whose owner knows the password."""
        self._tried.pop(address, None)


def is_loopback(host: str) -> bool:
    """Whether a name or address, such as 127.0.0.1, ::1 or localhost, is this host's own and reached from it alone."""
    name = host.strip("[]").lower()
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
