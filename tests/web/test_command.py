"""Where the page is served, and where it is not without a password."""

import queue
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cli.page_place import Place, place_of, url_of
from cli.page_server import PageServer
from cli.usage import UsageError
from config.load import load_settings
from tests.system.process import ROOT, environ_of
from web.server import listen

PASSWORD = "correct horse"  # noqa: S105


def place(environ: dict[str, str], **given: object) -> Place:
    return place_of(load_settings(environ, given), environ)


def test_on_a_host_that_names_a_port_it_is_served_to_all_with_a_password() -> None:
    named = {"PORT": "9000", "FUSEBOX_DASHBOARD_PASSWORD": PASSWORD}

    assert place(named) == Place("0.0.0.0", 9000)  # noqa: S104
    assert place(named, dashboard_port=9001) == Place("127.0.0.1", 9001), "what was said counts more"
    assert place(named, dashboard_host="127.0.0.1") == Place("127.0.0.1", 9000)
    assert place({}) == Place("127.0.0.1", 8780)


@pytest.mark.parametrize(
    ("environ", "told"),
    [
        ({"PORT": "9000"}, "0.0.0.0"),  # noqa: S104
        ({"FUSEBOX_DASHBOARD_HOST": "10.0.0.1"}, "10.0.0.1"),
        ({"FUSEBOX_DASHBOARD_HOST": "::"}, "::"),
        ({"PORT": "http"}, "PORT=http"),
        ({"PORT": "70000"}, "PORT=70000"),
    ],
    ids=str,
)
def test_it_is_refused_where_others_could_use_it_without_a_password(environ: dict[str, str], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        place(environ)


def test_the_address_is_one_that_can_be_typed() -> None:
    assert url_of("0.0.0.0", 9000) == "http://localhost:9000/"  # noqa: S104
    assert url_of("::1", 9000) == "http://[::1]:9000/"


def supervisor(state_dir: Path, *arguments: str, **environ: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "supervisor.py", *arguments],
        cwd=ROOT,
        env=environ_of(state_dir, environ),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("command", [("dashboard", "--host", "0.0.0.0"), ("run",)], ids=" ".join)  # noqa: S104
def test_a_refusal_is_one_line_and_exit_code_2_before_anything_starts(tmp_path: Path, command: tuple[str, ...]) -> None:
    exposed = {"FUSEBOX_DASHBOARD": "true", "FUSEBOX_DASHBOARD_HOST": "0.0.0.0"}  # noqa: S104
    process = supervisor(tmp_path, *command, **exposed)
    out, error = process.communicate(timeout=30)

    assert (process.returncode, out) == (2, "")
    assert error.startswith("fusebox: the web page at 0.0.0.0 ")
    assert error.count("\n") == 1
    assert not (tmp_path / "postgres").exists()


def test_it_says_where_it_is_and_ends_in_order_with_a_page_open(tmp_path: Path) -> None:
    process = supervisor(tmp_path, "dashboard", "--port", "0")
    assert process.stdout is not None
    line = process.stdout.readline()
    port = int(line.rsplit(":", 1)[1].strip("/\n"))
    looks = f"import urllib.request as u; s = u.urlopen('http://127.0.0.1:{port}/api/stream'); print(s.readline())"
    reader = subprocess.Popen([sys.executable, "-uc", f"{looks}; s.read()"], stdout=subprocess.PIPE, text=True)
    assert reader.stdout is not None
    assert "retry" in reader.stdout.readline(), "somebody looks"
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=10)
    reader.communicate(timeout=10)

    assert process.returncode == 0


def test_a_port_that_is_taken_is_refused_with_the_remedy(tmp_path: Path) -> None:
    with listen("127.0.0.1", 0) as taken:
        process = supervisor(tmp_path, "dashboard", "--port", str(taken.getsockname()[1]))
        _, error = process.communicate(timeout=30)

    assert process.returncode == 1
    assert "name another with --port" in error
    assert error.count("\n") == 1


def test_beside_run_a_port_that_is_taken_is_replaced_by_a_free_one(tmp_path: Path) -> None:
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        child = subprocess.Popen(
            [sys.executable, "-m", "cli.dashboard", "127.0.0.1", str(port)],
            cwd=ROOT,
            env=environ_of(tmp_path, {}),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert child.stdout is not None
        line = child.stdout.readline()
        child.communicate(timeout=10)  # its parent is gone: standard input has ended

    assert line.startswith('{"url":"http://127.0.0.1:')
    assert f":{port}/" not in line
    assert child.returncode == 0


def test_run_says_that_the_port_was_taken_and_where_the_page_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FUSEBOX_STATE_DIR", str(tmp_path))
    said: queue.SimpleQueue[str] = queue.SimpleQueue()
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        page = PageServer("127.0.0.1", port, tmp_path / "dashboard.log", said.put)
        page.start()
        line = said.get(timeout=30)
        pid = page.pid
        page.stop()

    assert line == f"the web page is at {page.url} (port {port} is taken)"
    assert pid is not None
    assert page.pid is None
    assert not Path(f"/proc/{pid}").exists()
