"""Output that is closed, full, narrow or read by nobody: no traceback, and an exit code."""

import os
import pty
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.system.process import ROOT, environ_of

NARROW = 40
CONTROL = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
INTERRUPTED = """
import os, signal, sys
import cli.remote
from cli.entry import main
cli.remote.status = lambda **_: os.kill(os.getpid(), signal.SIGINT)
sys.argv = ["supervisor.py", "status"]
main()
"""


def shell(line: str, state_dir: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/sh", "-c", line.replace("FUSEBOX", f"{sys.executable} supervisor.py")],
        cwd=ROOT, env=environ_of(state_dir, {}), capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip


def test_a_reader_that_goes_ends_it_quietly(state_dir: Path) -> None:
    for arguments in ("--help", "config show", "status"):
        done = shell(f"(FUSEBOX {arguments}; echo code $? >&2) | true", state_dir)

        assert "Traceback" not in done.stderr
        assert "Broken pipe" not in done.stderr
        assert "Exception ignored" not in done.stderr
        assert done.stderr.endswith(("code 1\n", "code 0\n", "code 3\n")), done.stderr


def test_output_that_was_closed_before_is_no_error(state_dir: Path) -> None:
    done = shell("FUSEBOX --version >&-; FUSEBOX config show >&-", state_dir)

    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no device that is always full")
def test_a_full_disk_is_one_line(state_dir: Path) -> None:
    done = shell("FUSEBOX config show > /dev/full", state_dir)

    assert done.returncode == 1
    assert done.stderr == "fusebox: standard output cannot be written: No space left on device\n"


def test_ctrl_c_is_exit_code_130_without_a_traceback(state_dir: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED], cwd=ROOT, env=environ_of(state_dir, {}), capture_output=True, text=True,
        check=False, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler) and None,
    )  # fmt: skip

    assert (done.returncode, done.stderr) == (130, "")


def on_terminal(state_dir: Path, *arguments: str, **environ: str) -> str:
    """Return what a command prints on a terminal of 40 columns."""
    master, slave = pty.openpty()
    given = {"COLUMNS": str(NARROW), "TERM": "xterm", **environ}
    process = subprocess.Popen(
        [sys.executable, "supervisor.py", *arguments],
        cwd=ROOT, env=environ_of(state_dir, given), stdout=slave, stderr=slave, stdin=slave,
    )  # fmt: skip
    os.close(slave)
    printed = b""
    while True:
        try:
            read = os.read(master, 65536)
        except OSError:  # how Linux says that the other end was closed
            break
        if not read:
            break
        printed += read
    os.close(master)
    process.wait(60)
    return printed.decode()


def test_a_terminal_gets_panels_that_fit(state_dir: Path) -> None:
    printed = on_terminal(state_dir, "status", "--help", NO_COLOR="1")

    plain = CONTROL.sub("", printed).replace("\r", "")
    assert "─ Examples ─" in plain
    assert "─ Options ─" in plain
    assert re.search(r"\x1b\[[0-9;]*3[1-7]", printed) is None, "NO_COLOR: no colours"
    assert max(map(len, plain.split("\n"))) <= NARROW


def test_settings_on_a_narrow_terminal_are_lines(state_dir: Path) -> None:
    printed = on_terminal(state_dir, "config", "show", "--changed")

    assert f"FUSEBOX_STATE_DIR={state_dir}  # environment FUSEBOX_STATE_DIR" in printed
