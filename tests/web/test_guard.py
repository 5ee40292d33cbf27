"""Who gets an answer: names, logins, origins, tokens, and what the browser is told to forbid."""

import httpx
import pytest

from tests.web.conftest import Serve, Served

PASSWORD = "correct horse"  # noqa: S105


def log_in(client: httpx.Client, password: str = PASSWORD) -> httpx.Response:
    return client.post("/login", data={"password": password})


@pytest.mark.parametrize("path", ["/", "/static/app.js", "/api/session", "/healthz", "/nowhere", "/login"])
def test_every_answer_forbids_scripts_frames_and_requests_of_others(bare: Served, path: str) -> None:
    with bare.client() as client:
        headers = client.get(path).headers

    policy = headers["content-security-policy"]
    for rule in ("default-src 'none'", "script-src 'self'", "connect-src 'self'", "frame-ancestors 'none'"):
        assert rule in policy
    assert "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == ("same-origin" if path == "/login" else "no-referrer")
    assert headers["cache-control"] in ("no-store", "no-cache")
    assert "server" not in headers


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:{port}", 200),
        ("127.0.0.1", 200),
        ("[::1]:8780", 200),
        ("evil.example:{port}", 421),
        ("localhost.evil.example", 421),
        ("", 421),
        ("[", 421),
    ],
)
def test_a_page_without_a_password_answers_to_its_own_hosts_names_only(bare: Served, host: str, status: int) -> None:
    with bare.client() as client:
        assert client.get("/", headers={"host": host.format(port=bare.port)}).status_code == status


def test_with_a_password_nothing_is_told_before_the_login(serve: Serve) -> None:
    served = serve(password=PASSWORD)
    with served.client() as client:
        found = {path: client.get(path).status_code for path in ("/", "/api/session", "/api/stream", "/api/trades")}
        acted = client.post("/api/actions/halt", json={})
        form, health = client.get("/login"), client.get("/healthz")

    assert found == {"/": 303, "/api/session": 401, "/api/stream": 401, "/api/trades": 401}
    assert acted.status_code == 401
    assert (form.status_code, health.text) == (200, "ok\n")
    assert served.commands.given == []


def test_a_login_gives_a_cookie_that_no_script_and_no_other_site_gets(serve: Serve) -> None:
    served = serve(password=PASSWORD)
    with served.client(host="trader.example") as client:
        done = client.post("/login", data={"password": PASSWORD}, headers={"origin": "https://trader.example"})
        assert done.status_code == 303
        assert {"HttpOnly", "SameSite=strict", "Path=/"} <= set(done.headers["set-cookie"].split("; "))
        assert "Secure" not in done.headers["set-cookie"]
        behind = client.post(
            "/login",
            data={"password": PASSWORD},
            headers={"origin": "https://trader.example", "x-forwarded-proto": "https"},
        )
        assert "Secure" in behind.headers["set-cookie"]


def test_logged_in_one_reads_acts_and_logs_out(serve: Serve) -> None:
    served = serve(password=PASSWORD)
    with served.client() as client:
        log_in(client)
        assert client.get("/").status_code == 200
        assert client.get("/login").status_code == 303
        token = served.token(client)
        assert client.post("/api/actions/halt", json={"reason": "x"}, headers=token).json()["ok"] is True
        assert client.post("/logout", headers=token).json() == {"ok": True}
        assert client.get("/").status_code == 303


def test_wrong_passwords_are_refused_counted_and_never_written_down(serve: Serve) -> None:
    served = serve(password=PASSWORD)
    with served.client() as client:
        statuses = [log_in(client, "wrong guess").status_code for _ in range(6)]
        right = log_in(client)

    assert statuses == [403] * 5 + [429]
    assert right.status_code == 429, "not even the right one, for a minute"
    assert int(right.headers["retry-after"]) <= 61
    assert "guess" not in "".join(served.said)


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": ""},
        {"origin": "http://127.0.0.1:1"},
        {"sec-fetch-site": "cross-site"},
        {"x-fusebox-token": "0" * 64},
        {"x-fusebox-token": ""},
    ],
    ids=str,
)
def test_another_site_cannot_act(bare: Served, headers: dict[str, str]) -> None:
    with bare.client() as client:
        given = {**bare.token(client), **headers}
        refused = client.post("/api/actions/halt", json={"reason": "x"}, headers=given)

    assert refused.status_code == 403
    assert bare.commands.given == []


def test_another_site_cannot_log_somebody_in(serve: Serve) -> None:
    with serve(password=PASSWORD).client(origin="http://evil.example") as client:
        assert log_in(client).status_code == 403


def test_a_login_that_is_no_form_is_a_wrong_password(serve: Serve) -> None:
    with serve(password=PASSWORD).client() as client:
        for body in (b"", b"\xff\xfe", b"password", b"x" * 100_000):
            assert client.post("/login", content=body).status_code in (403, 400, 429)
