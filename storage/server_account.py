"""The operating-system account of an embedded PostgreSQL, which refuses to run as root, as containers often do."""

import os
import pwd
import shutil
import stat
import subprocess
from pathlib import Path
from typing import NamedTuple

from core.errors import FatalError

DEDICATED_NAME = "pgserver"
FALLBACK_NAME = "nobody"
SEARCH_BY_OTHERS = stat.S_IXOTH
READ_AND_SEARCH_BY_OTHERS = stat.S_IROTH | stat.S_IXOTH


class Account(NamedTuple):
    """Numeric user and group of an account."""

    uid: int
    gid: int


def server_account(data_dir: Path) -> Account | None:
    """Return the account to run the server of `data_dir` as, None to run it as ourselves.

    Only root needs another account. The owner of existing data runs it again; new data belongs to `pgserver`, which is
    created when the host can, and else to `nobody`.

    Raises:
        FatalError: when the data belongs to somebody else, or root has no account to hand it to.
    """
    owner = data_dir.stat() if data_dir.exists() else None
    if os.geteuid() != 0:
        if owner is not None and owner.st_uid != os.geteuid():
            raise FatalError(
                f"{data_dir} belongs to user {owner.st_uid}, not to you ({os.geteuid()}): run as that user, "
                "change the folder's owner, or name another folder with FUSEBOX_STATE_DIR"
            )
        return None
    if owner is not None and owner.st_uid != 0:
        return Account(owner.st_uid, owner.st_gid)
    account = _lookup(DEDICATED_NAME) or _created(DEDICATED_NAME) or _lookup(FALLBACK_NAME)
    if account is None:
        raise FatalError(
            f"PostgreSQL refuses to run as root and this host has neither `useradd` nor the user {FALLBACK_NAME}: "
            "run as another user, or set DATABASE_URL to an existing server"
        )
    return account


def make_reachable(path: Path, account: Account) -> None:
    """Let `account` pass through the folders above `path`, adding the search bit and nothing else.

    Raises:
        FatalError: when a folder on the way is closed and cannot be opened.
    """
    for folder in path.parents:
        status = folder.stat()
        if status.st_uid == account.uid or status.st_mode & SEARCH_BY_OTHERS:
            continue
        try:
            folder.chmod(stat.S_IMODE(status.st_mode) | SEARCH_BY_OTHERS)
        except OSError as error:
            raise FatalError(
                f"PostgreSQL must not run as root and user {account.uid} cannot pass through {folder}: "
                f"run `chmod o+x {folder}` or name another folder with FUSEBOX_STATE_DIR ({error.strerror})"
            ) from error


def make_readable(tree: Path, probe: Path) -> None:
    """Let everybody read `tree` when `probe`, a program inside, is closed (a wheel installed under umask 077)."""
    if probe.stat().st_mode & READ_AND_SEARCH_BY_OTHERS == READ_AND_SEARCH_BY_OTHERS:
        return
    for path in (tree, *tree.rglob("*")):
        mode = path.lstat().st_mode
        if stat.S_ISLNK(mode):
            continue
        wanted = stat.S_IROTH | (stat.S_IXOTH if mode & stat.S_IXUSR else 0)
        path.chmod(stat.S_IMODE(mode) | wanted)


def _lookup(name: str) -> Account | None:
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        return None
    return Account(entry.pw_uid, entry.pw_gid)


def _created(name: str) -> Account | None:
    program = shutil.which("useradd")
    if program is None:
        return None
    command = [program, "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", name]
    # A read-only /etc, or another process that was faster: what counts is whether the account exists afterwards.
    subprocess.run(command, check=False, capture_output=True)  # noqa: S603 - a fixed command line
    return _lookup(name)
