"""The password, the cookie, the token, the attempts: pure rules, with a clock set by hand."""

import pytest

from web.access import ANYONE, ATTEMPTS, ATTEMPTS_OF_ALL, SESSION_S, Access, Attempts, is_loopback

PASSWORD = "correct horse"  # noqa: S105


class Clock:
    """Unix or monotonic seconds, set by hand."""

    def __init__(self) -> None:
        self.now_s = 1_000_000.0

    def __call__(self) -> float:
        return self.now_s


def test_only_the_password_is_the_password() -> None:
    access = Access(PASSWORD)

    assert access.is_password(PASSWORD)
    assert not any(access.is_password(given) for given in ("", "correct hors", "correct horse ", "\udcff"))


def test_without_a_password_nothing_is_one_and_everybody_has_a_session() -> None:
    access = Access(None)

    assert not access.is_password("")
    assert access.session_of(None) == ANYONE


def test_a_session_lasts_a_day_and_outlives_the_server_but_not_the_password() -> None:
    clock = Clock()
    cookie = Access(PASSWORD, clock).new_session()

    assert Access(PASSWORD, clock).session_of(cookie) is not None, "another server of the same password knows it"
    assert Access("another horse", clock).session_of(cookie) is None
    clock.now_s += SESSION_S
    assert Access(PASSWORD, clock).session_of(cookie) is None


@pytest.mark.parametrize(
    "forge",
    [
        lambda _: "",
        lambda cookie: cookie[:-1],
        lambda cookie: "9" + cookie,
        lambda cookie: cookie.replace(".", "", 1),
        lambda cookie: "99999999999.x." + cookie.rsplit(".")[-1],
        lambda _: "\u00e4.\u00e4.\u00e4",
    ],
)
def test_a_forged_cookie_is_none(forge: object) -> None:
    access = Access(PASSWORD)

    assert callable(forge)
    assert access.session_of(forge(access.new_session())) is None


def test_an_actions_token_is_of_one_session_alone() -> None:
    access = Access(PASSWORD)
    mine, other = (access.session_of(access.new_session()) for _ in range(2))

    assert mine is not None
    assert other is not None
    assert access.is_token(mine, access.token_of(mine))
    assert not access.is_token(mine, access.token_of(other))
    assert not access.is_token(mine, "")


def test_guessing_is_slowed_down_by_address_and_in_all() -> None:
    clock = Clock()
    attempts = Attempts(clock)

    assert [attempts.wait_s("a") for _ in range(ATTEMPTS)] == [0.0] * ATTEMPTS
    assert attempts.wait_s("a") == 60.0
    assert attempts.wait_s("b") == 0.0
    clock.now_s += 59.0
    assert attempts.wait_s("a") == 1.0
    clock.now_s += 1.0
    assert attempts.wait_s("a") == 0.0

    everybody = [attempts.wait_s(f"host {number}") for number in range(ATTEMPTS_OF_ALL)]
    assert everybody[-1] > 0.0, "many addresses together are one attacker"


def test_who_knows_the_password_begins_anew() -> None:
    attempts = Attempts(Clock())
    for _ in range(ATTEMPTS):
        attempts.wait_s("a")
    attempts.forget("a")

    assert attempts.wait_s("a") == 0.0


def test_only_this_hosts_own_names_are_loopback() -> None:
    assert all(map(is_loopback, ("127.0.0.1", "127.9.9.9", "::1", "[::1]", "localhost", "LOCALHOST")))
    others = ("0.0.0.0", "::", "10.0.0.1", "localhost.evil.example", "127.0.0.1.evil", "")  # noqa: S104
    assert not any(map(is_loopback, others))
