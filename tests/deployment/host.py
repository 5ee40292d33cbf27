"""A Procfile host, played by honcho: releases, processes that are started again when they end, disks that are emptied.

honcho ends every process when one does, so each type has one of its own.
"""

import os
import queue
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path

from tests.system.process import ROOT, Supervisor, environ_of

PATH = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
START = (sys.executable, "-m", "honcho", "--procfile", "Procfile", "--env", os.devnull, "--no-prefix", "start")
"""Without the `.env` of whoever runs the tests."""


class Instance(Supervisor):
    """One process of a type; `pid` is that of the program itself, not honcho's."""

    def __init__(self, kind: str, disk: Path, environ: Mapping[str, str]) -> None:
        super().__init__(disk, kind, environ=environ, command=START)
        self.kind = kind
        self.disk = disk
        self.pid = int(re.findall(r"pid=(\d+)", self.wait_for(f"{kind}.1 started"))[0])

    def stopped_with(self) -> int:
        """Return the code that the program ended with, once honcho has ended too."""
        self.process.wait(30)
        return int(re.findall(r"rc=(-?\d+)", self.wait_for(f"{self.kind}.1 stopped", within_s=10))[0])


class Host:
    """One application: its configuration, and what runs of it.

    Args:
        folder: where the disks are; each process finds its own one empty.
        config: environment variables of every process.
    """

    def __init__(self, folder: Path, config: Mapping[str, str]) -> None:
        self._folder = folder
        self._config = {**config, "PATH": PATH, "PYTHONUNBUFFERED": "1"}
        self._disks = 0
        self._lock = threading.Lock()
        self._all: list[Instance] = []
        self._kept: set[Instance] = set()
        self._threads: list[threading.Thread] = []
        self._again: queue.SimpleQueue[Instance] = queue.SimpleQueue()

    def release(self) -> subprocess.CompletedProcess[str]:
        """Run `release` to its end."""
        return self._finished(*START, "release")

    def one_off(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command in a process that shares the configuration with the others and nothing else."""
        return self._finished("python", "supervisor.py", *arguments)

    def start(self, kind: str) -> Instance:
        """Start a process and keep it up: `restarted` returns the one that takes its place."""
        instance = Instance(kind, self._disk(), self._config)
        with self._lock:
            self._all.append(instance)
            self._kept.add(instance)
        thread = threading.Thread(target=self._keep, args=(instance,), daemon=True)
        self._threads.append(thread)
        thread.start()
        return instance

    def restarted(self) -> Instance:
        """Return the next process that the host has started again."""
        return self._again.get(timeout=30)

    def stop(self, instance: Instance) -> int:
        """End a process as a host does that wants it no more, and return the code that it ended with."""
        self._forget(instance)
        instance.process.terminate()
        return instance.stopped_with()

    def close(self) -> None:
        """End whatever still runs, the hard way."""
        with self._lock:
            self._kept.clear()
        for instance in self._all:
            if instance.process.poll() is None:
                os.kill(instance.pid, signal.SIGKILL)
            instance.kill()
        for thread in self._threads:
            thread.join(30)

    def _keep(self, instance: Instance) -> None:
        instance.process.wait()
        shutil.rmtree(instance.disk, ignore_errors=True)
        if self._forget(instance):
            self._again.put(self.start(instance.kind))

    def _forget(self, instance: Instance) -> bool:
        with self._lock:
            known = instance in self._kept
            self._kept.discard(instance)
        return known

    def _disk(self) -> Path:
        with self._lock:
            self._disks += 1
            disk = self._folder / f"disk-{self._disks}"
        disk.mkdir()
        return disk

    def _finished(self, *command: str) -> subprocess.CompletedProcess[str]:
        disk = self._disk()
        done = subprocess.run(
            command,
            cwd=ROOT,
            env=environ_of(disk, self._config),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        shutil.rmtree(disk)
        return done
