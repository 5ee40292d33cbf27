"""Actors are replaced as long as the process lives: their threads leave nothing behind, and the process ends well."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from models.checkpoint import fresh_weights
from models.policy import Policy

ROOT = Path(__file__).resolve().parents[2]
STATE, HISTORY = np.zeros(18, np.float32), np.zeros((5, 18), np.float32)
TASKS = Path("/proc/self/task")

USE_FROM_THREADS = """
import threading
import numpy as np
from models.checkpoint import fresh_weights
from models.policy import Policy

def decide(crash):
    policy = Policy(fresh_weights(0))
    for _ in range(3):
        policy.evaluate(np.zeros(18, np.float32), np.zeros((5, 18), np.float32))
    if crash:
        raise SystemExit  # a death that prints nothing

for generation in range(5):
    threads = [threading.Thread(target=decide, args=(asset == 3,)) for asset in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
print("decided")
"""


DECIDE_ONCE = """
import numpy as np
from models.checkpoint import fresh_weights
from models.policy import Policy

for seed in range(2):
    policy = Policy(fresh_weights(seed))
    policy.evaluate(np.zeros(18, np.float32), np.zeros((5, 18), np.float32))
print("compiled", policy.compiled)
"""


def in_thread(policy: Policy) -> tuple[tuple[float, ...], float]:
    answers: list[tuple[tuple[float, ...], float]] = []
    thread = threading.Thread(target=lambda: answers.append(policy.evaluate(STATE, HISTORY)))
    thread.start()
    thread.join()
    return answers[0]


def test_fifty_successive_threads_decide_alike_and_leave_no_thread_behind() -> None:
    if not TASKS.exists():
        pytest.skip("counts operating-system threads in /proc, which only Linux has")
    policy = Policy(fresh_weights(0))
    answer = in_thread(policy)
    before = len(list(TASKS.iterdir()))
    assert all(in_thread(policy) == answer for _ in range(50))
    # one thread may still be on its way out when the count is taken
    assert len(list(TASKS.iterdir())) <= before + 1


def test_threads_that_decide_at_the_same_time_get_their_own_answers() -> None:
    policies = [Policy(fresh_weights(seed)) for seed in range(4)]
    alone = [policy.evaluate(STATE, HISTORY) for policy in policies]
    together: list[list[tuple[tuple[float, ...], float]]] = [[] for _ in policies]

    def decide(number: int) -> None:
        together[number] += [policies[number].evaluate(STATE, HISTORY) for _ in range(50)]

    threads = [threading.Thread(target=decide, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert together == [[answer] * 50 for answer in alone]


def test_a_process_whose_deciding_threads_have_ended_exits_cleanly_every_time() -> None:
    for _ in range(10):
        ended = run(USE_FROM_THREADS)
        assert (ended.returncode, ended.stdout) == (0, "decided\n"), ended.stderr


def test_a_host_whose_compiler_fails_decides_uncompiled_and_says_so(tmp_path: Path) -> None:
    compiler = tmp_path / "g++"
    compiler.write_text('#!/bin/sh\n[ "$1" = --version ]\n')
    compiler.chmod(0o755)
    # a temporary folder of its own, because MLX keeps what it compiled there
    ended = run(DECIDE_ONCE, PATH=f"{tmp_path}{os.pathsep}{os.environ['PATH']}", TMPDIR=str(tmp_path))
    assert (ended.returncode, ended.stdout) == (0, "compiled False\n"), ended.stderr
    assert ended.stderr.count("policy runs uncompiled") == 1


def run(program: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
