"""Has the learner's gradient step compiled in a child process, so that no decision waits for the system's compiler."""

import subprocess
import sys

import msgspec
from loguru import logger

from config.settings import PROJECT_ROOT
from models.ppo.ahead import Order
from models.ppo.hyper import Hyperparameters

WITHIN_S = 600.0
"""A compiler that takes longer is left to itself, and the learner compiles when it first learns."""


def compile_ahead(hyper: Hyperparameters, features: int) -> None:
    """Wait until the step is compiled for weights of so many features; what fails is logged and costs only time."""
    order = msgspec.json.encode(Order(hyper, features)) + b"\n"
    try:
        with subprocess.Popen(
            [sys.executable, "-m", "models.ppo.ahead"],
            cwd=PROJECT_ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        ) as child:
            assert child.stdin is not None  # noqa: S101 -- a pipe was asked for
            child.stdin.write(order)
            child.stdin.flush()  # it stays open: its end is how the child hears of ours
            try:
                code = child.wait(WITHIN_S)
            except subprocess.TimeoutExpired:
                child.kill()
                code = child.wait()
            said = b"" if child.stderr is None else child.stderr.read()
    except OSError as error:
        logger.warning("the gradient step cannot be compiled ahead: {}", error)
        return
    if code != 0:
        last = said.decode(errors="replace").strip().splitlines()[-1:] or ["no word"]
        logger.warning("the gradient step was not compiled ahead (exit {}): {}", code, last[0])
