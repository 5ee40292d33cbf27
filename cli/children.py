"""Ends a child process that a run has started: asked first, then told, then killed."""

import contextlib
import subprocess


def end(process: subprocess.Popen[bytes], within_s: float) -> None:
    """Close a child's input, terminate it, and kill it where it does not end within `within_s`; returns when it has."""
    if process.stdin is not None:
        with contextlib.suppress(BrokenPipeError):  # it is gone already, which is what is wanted
            process.stdin.close()
    process.terminate()
    try:
        process.wait(within_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()
