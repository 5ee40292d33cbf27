"""An embedded PostgreSQL in the state folder: started on first use, adopted after a crash, stopped by its last user.

Each user holds a shared `flock` on `postgres.lock` for as long as it needs the server. The kernel drops the lock of a
killed process, so nothing has to be counted: whoever can make its lock exclusive is the last one and stops the server.
"""

import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import psycopg

from core.errors import FatalError
from storage.cluster import PROGRAMS, Postmaster, check_version, explained, server_uri, socket_dir_for
from storage.server_account import Account, make_reachable, make_readable, server_account

SETTINGS = {
    "listen_addresses": "",
    "port": "5432",
    "unix_socket_permissions": "0700",
    "shared_buffers": "32MB",
    "max_connections": "40",
    "fsync": "on",
    "max_wal_senders": "0",
    "wal_level": "minimal",
    "max_wal_size": "256MB",
    "io_method": "sync",  # no I/O worker processes, and no io_uring, which containers often forbid
    "max_parallel_workers_per_gather": "0",
    "jit": "off",
    "logging_collector": "off",
    "log_checkpoints": "off",
    "timezone": "UTC",
}
START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 10.0
POLL_S = 0.01
LEFTOVER_BACKENDS_S = 5.0
LOG_LIMIT_BYTES = 5_000_000


class EmbeddedServer:
    """The server whose data lives in `<state_dir>/postgres`; reached through a Unix socket only, never TCP."""

    def __init__(
        self,
        state_dir: Path,
        *,
        sleep: Callable[[float], None] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.state_dir = state_dir.expanduser().resolve()
        self.data_dir = self.state_dir / "postgres"
        self.log_path = self.state_dir / "postgres.log"
        self.uri_path = self.state_dir / "postgres.uri"
        self._sleep = sleep
        self._monotonic = monotonic
        self._child: subprocess.Popen[bytes] | None = None
        self._use: IO[bytes] | None = None

    def start(self) -> str:
        """Start the server, or adopt the running one, and return its connection URI, which is also recorded.

        A second call revives a server that has died since.

        Raises:
            FatalError: when the folder cannot hold or does not hold a usable database; names folder and remedy.
        """
        try:
            self.state_dir.mkdir(parents=True, exist_ok=True)
            with self._exclusive():
                uri = self._started()
                _replace_text(self.uri_path, uri)
                if self._use is None:
                    self._use = (self.state_dir / "postgres.lock").open("ab")
                    fcntl.flock(self._use, fcntl.LOCK_SH)
        except OSError as error:
            raise explained(self.state_dir, f"{error.strerror}: {error.filename}") from error
        return uri

    def alive(self) -> bool:
        """Return whether the server runs; cheap enough to ask every second. `start` revives one that does not."""
        if self._child is not None:
            return self._child.poll() is None
        running = Postmaster.read(self.data_dir)
        return running is not None and running.alive

    def stop(self) -> None:
        """Give the server up and stop it ("fast": sessions end, data is flushed) unless another process uses it."""
        if self._use is None:
            return
        with self._exclusive(), self._use as use:
            self._use = None
            try:
                fcntl.flock(use, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if self._child is not None:
                    self._child.returncode = 0  # from now on the others' child: nothing to warn about when we end
                return
            self.uri_path.unlink(missing_ok=True)
            running = Postmaster.read(self.data_dir)
            if running is not None and running.serves(self.data_dir):
                self._halt(running)

    def _started(self) -> str:
        check_version(self.data_dir)
        account = server_account(self.data_dir)
        if account is not None:
            make_reachable(self.data_dir, account)
            make_reachable(PROGRAMS / "postgres", account)
            make_readable(PROGRAMS.parent, PROGRAMS / "postgres")
        running = Postmaster.read(self.data_dir)
        if running is not None and running.serves(self.data_dir):
            adopted = self._adopted(running)
            if adopted is not None:
                if self._child is not None and self._child.poll() is not None:
                    self._child = None  # ours has died, this one is somebody else's child
                return adopted
            self._halt(running)
        if running is not None:
            running.forget(self.data_dir)
        if not self.data_dir.exists():
            self._create(account)
        return self._launch(account)

    def _create(self, account: Account | None) -> None:
        """Initialise the cluster beside its final place: one killed halfway is never mistaken for a database."""
        for leftover in self.state_dir.glob("postgres.new-*"):
            shutil.rmtree(leftover, ignore_errors=True)  # the initdb of a killed process may still be at work in it
        fresh = Path(tempfile.mkdtemp(prefix="postgres.new-", dir=self.state_dir))
        if account is not None:
            os.chown(fresh, account.uid, account.gid)
        arguments = ["-D", str(fresh), "-U", "postgres", "--auth=trust", "--encoding=UTF8", "--no-locale"]
        done = subprocess.run(  # noqa: S603 - our own program and folder
            [str(PROGRAMS / "initdb"), *arguments], check=False, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            env=_environment(), cwd="/", start_new_session=True,
            user=account and account.uid, group=account and account.gid, extra_groups=None if account is None else [],
        )  # fmt: skip
        if done.returncode != 0:
            shutil.rmtree(fresh, ignore_errors=True)
            raise explained(self.state_dir, done.stderr.decode(errors="replace"))
        fresh.rename(self.data_dir)

    def _launch(self, account: Account | None) -> str:
        socket_dir = socket_dir_for(self.data_dir, account)
        uri = server_uri(socket_dir)
        if self.log_path.exists() and self.log_path.stat().st_size > LOG_LIMIT_BYTES:
            self.log_path.replace(self.log_path.with_suffix(".log.1"))
        settings = [f"--{name}={value}" for name, value in SETTINGS.items()]
        command = [str(PROGRAMS / "postgres"), "-D", str(self.data_dir), "-k", str(socket_dir), *settings]
        started = self._monotonic()
        if self._child is not None:
            self._child.wait()  # the one that died; reaped here
        while True:
            with self.log_path.open("ab") as log:
                said_before = log.tell()
                # A session of its own: a terminal's Ctrl-C must not reach the database before its users have drained.
                self._child = subprocess.Popen(  # noqa: S603 - our own program and folder
                    command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=_environment(), cwd="/",
                    start_new_session=True, umask=0o077, user=account and account.uid, group=account and account.gid,
                    extra_groups=None if account is None else [],
                )  # fmt: skip
            while self._child.poll() is None:
                running = Postmaster.read(self.data_dir)
                if running is not None and running.pid == self._child.pid and running.ready and _answers(uri):
                    return uri
                if self._monotonic() - started > START_TIMEOUT_S:
                    self._child.kill()
                    self._child.wait()
                    waited = f"not ready after {START_TIMEOUT_S:.0f} s"
                    raise FatalError(f"PostgreSQL in {self.data_dir} was {waited}: see {self.log_path}")
                self._sleep(POLL_S)
            with self.log_path.open("rb") as log:
                log.seek(said_before)
                said = log.read().decode(errors="replace")
            # Sessions of a killed server take a moment to notice; until then they hold its shared memory.
            waiting = "shared memory block" in said and self._monotonic() - started < LEFTOVER_BACKENDS_S
            if not waiting:
                raise explained(self.data_dir, said)
            self._sleep(0.1)

    def _adopted(self, running: Postmaster) -> str | None:
        """Return the URI of a server that a killed owner left behind, None when it cannot be used."""
        uri = server_uri(running.socket_dir)
        deadline = self._monotonic() + START_TIMEOUT_S
        while running.serves(self.data_dir) and self._monotonic() < deadline:
            current = Postmaster.read(self.data_dir)
            if current is None or current.stopping:
                return None
            if current.ready:
                return uri if _answers(uri) else None
            self._sleep(POLL_S)
        return None

    def _halt(self, running: Postmaster) -> None:
        """Stop a server: SIGINT ends sessions and flushes, SIGQUIT and SIGKILL leave recovery to the next start."""
        for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):  # it ended by itself: what was wanted
                os.kill(running.pid, number)
            deadline = self._monotonic() + STOP_TIMEOUT_S
            while self._monotonic() < deadline:
                if not running.alive:
                    if self._child is not None and self._child.pid == running.pid:
                        self._child.wait()  # it has ended: this reaps it
                    return
                self._sleep(POLL_S)
        raise FatalError(f"PostgreSQL (process {running.pid}) in {self.data_dir} does not end: stop it by hand")

    @contextlib.contextmanager
    def _exclusive(self) -> Iterator[None]:
        """Hold off every other process that is about to start or stop this server."""
        with (self.state_dir / "postgres.start.lock").open("ab") as guard:
            fcntl.flock(guard, fcntl.LOCK_EX)
            yield


def recorded_uri(state_dir: Path) -> str | None:
    """Return the URI of the embedded server that another process started in `state_dir`, None when none is recorded."""
    path = state_dir.expanduser().resolve() / "postgres.uri"
    return path.read_text() if path.exists() else None


def _answers(uri: str) -> bool:
    try:
        with psycopg.connect(uri, connect_timeout=5):
            return True
    except psycopg.OperationalError:
        return False


def _environment() -> dict[str, str]:
    # PGPORT and its like would change what the server does; LC_ALL keeps its messages in the language we read.
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "LC_", "LANG"))}
    return kept | {"LC_ALL": "C"}


def _replace_text(path: Path, text: str) -> None:
    fresh = path.with_suffix(".tmp")
    fresh.write_text(text)
    fresh.replace(path)
