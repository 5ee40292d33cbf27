"""`train` from the command line: runs, stops, goes on to the bit, and leaves no process behind."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import numpy as np
import pytest

from cli.gathering import Gathering, gather, segments_of
from cli.rollout import run_episode
from cli.simulated import SimulatedStage, episode_of
from cli.train import begun
from cli.training_folder import Plan, read_lineage
from cli.training_profile import SHIPPED, read_profile, terms_of
from cli.warm_start import Watching, watch
from core.market.features import FUSED_FEATURES
from models.checkpoint import fresh_weights, load_weights
from models.plain import PlainPolicy

ROOT = Path(__file__).resolve().parents[2]
PROFILE = """
schema = "fused"
assets = ["BTC"]
window_s = 20
episode_windows = 1
trade_size_usd = 100.0
exit = "t-2"

[ppo]
lr_actor = 1e-3
buffer = 64
batch = 32
epochs = 2
"""


def command(*arguments: object) -> list[str]:
    return [sys.executable, str(ROOT / "supervisor.py"), *map(str, arguments)]


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(*arguments), capture_output=True, text=True, check=False, timeout=120)


@pytest.fixture
def profile(tmp_path: Path) -> Path:
    path = tmp_path / "brief.toml"
    path.write_text(PROFILE)
    return path


def logged(folder: Path) -> list[dict[str, object]]:
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in row.items() if not key.startswith("seconds")} for row in rows]


def test_a_run_that_is_stopped_and_resumed_ends_in_the_same_bits(tmp_path: Path, profile: Path) -> None:
    whole, halves = tmp_path / "whole", tmp_path / "halves"
    asked = ("train", "--world", "lagged,today", "--seed", 3, "--profile", profile)
    assert run(*asked, "--windows", 8, "--envs", 2, "--out", whole).returncode == 0
    assert run(*asked, "--windows", 4, "--envs", 2, "--out", halves).returncode == 0
    assert run("train", "--resume", "--windows", 8, "--out", halves).returncode == 0
    assert (whole / "policy.safetensors").read_bytes() == (halves / "policy.safetensors").read_bytes()
    assert logged(whole) == logged(halves)
    assert [row["windows"] for row in logged(whole)] == [2, 4, 6, 8]
    lineage = read_lineage(whole / "policy.safetensors")
    assert lineage is not None
    assert (lineage.seeds, lineage.worlds, lineage.windows) == ((3,), ("lagged", "today"), 8)
    assert load_weights(whole / "policy.safetensors").version == 4


def test_ctrl_c_keeps_the_last_update_and_says_how_to_go_on(tmp_path: Path, profile: Path) -> None:
    out = tmp_path / "run"
    process = subprocess.Popen(
        command("train", "--windows", 10_000, "--envs", 2, "--profile", profile, "--out", out),
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    _wait_for(out / "metrics.jsonl")
    workers = _children(process.pid)
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 0
    assert f"go on by: train --resume --out {out}" in errors
    assert "Traceback" not in errors
    _gone(workers)
    assert run("train", "--resume", "--windows", len(logged(out)) * 2 + 2, "--out", out).returncode == 0


def test_workers_end_with_a_parent_that_is_killed(tmp_path: Path, profile: Path) -> None:
    out = tmp_path / "run"
    process = subprocess.Popen(
        command("train", "--windows", 10_000, "--envs", 2, "--profile", profile, "--out", out),
        stderr=subprocess.DEVNULL,
    )
    _wait_for(out / "metrics.jsonl")
    workers = _children(process.pid)
    assert len(workers) >= 2
    process.kill()
    process.wait()
    _gone(workers)


def test_rewards_of_every_window_sum_to_what_its_trades_came_to() -> None:
    policy = PlainPolicy(fresh_weights(3, FUSED_FEATURES))
    stage = SimulatedStage(episode_of("lagged", 8, 0, 60, ("BTC", "ETH"), 2))
    for exit_rule in ("t-2", "settlement"):
        result = run_episode(stage, lambda: policy, terms_of(100, exit_rule, sample=True))
        segments = segments_of(result, policy.weights, "net_liquidation")
        assert len(segments) == 4
        assert len(result.trades) > 4
        for segment in segments:
            realised = [t.pnl_net_usd for t in result.trades if t.condition_id == segment.condition_id]
            assert int(segment.rewards_usd.sum()) == sum(realised)
            assert segment.next_features is None
        closing = segments_of(result, policy.weights, "close")
        assert [int(s.rewards_usd.sum()) for s in closing] == [int(s.rewards_usd.sum()) for s in segments]
        assert all(np.count_nonzero(segment.rewards_usd) <= 1 for segment in closing)


def test_the_same_task_gathers_the_same_segments_and_another_draw_others() -> None:
    weights = fresh_weights(3, FUSED_FEATURES).to_bytes()
    shown, terms = episode_of("today", 4, 1, 20, ("BTC",)), terms_of(100, "t-2", sample=True)
    first, again, other = (gather(Gathering(shown, weights, terms, "net_liquidation", draw)) for draw in (0, 0, 1))
    assert first.segments[0].actions.tolist() == again.segments[0].actions.tolist()
    assert first.actions == again.actions
    assert first.segments[0].actions.tolist() != other.segments[0].actions.tolist()


def test_a_run_may_begin_by_imitating_a_baseline(tmp_path: Path) -> None:
    plan = Plan(
        worlds=("lagged",), recordings=None, seed=5, windows=1, envs=1, keep_every=0, warm_start="fair-value",
        profile=msgspec.structs.replace(read_profile(SHIPPED), window_s=60, assets=("BTC",)),
    )  # fmt: skip
    weights = begun(tmp_path, plan).state.weights
    assert weights.to_bytes() == begun(tmp_path / "again", plan).state.weights.to_bytes()
    taught = PlainPolicy(weights)
    seen = watch(Watching(episode_of("lagged", 6, 0, 60, ("BTC",)), "fair-value", terms_of(100, "t-2")))
    chances = [taught.evaluate(f, h.reshape(5, -1))[0] for f, h in zip(seen.features, seen.history, strict=True)]
    trading = seen.actions > 0
    assert trading.any()
    leaning = np.array([1 - hold for hold, _, _ in chances])
    assert leaning[trading].mean() > 2 * leaning[~trading].mean()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--world", "nowhere", "--windows", "2"), "--world nowhere: no such world; give one of"),
        (("--windows", "2", "--venue", "mars"), "--venue mars: only sim can be trained on"),
        ((), "--windows is missing"),
        (("--windows", "2", "--profile", "missing.toml"), "profile missing.toml: No such file or directory"),
        (("--resume",), "--resume: no run in"),
        (("--windows", "2", "--recordings", "/nowhere"), "/nowhere does not exist"),
        (("--windows", "2", "--warm-start", "/nowhere"), "--warm-start /nowhere: no such file"),
    ],
)
def test_a_bad_argument_is_one_line(tmp_path: Path, arguments: tuple[str, ...], told: str) -> None:
    done = run("train", *arguments, "--out", tmp_path / "none")
    assert done.returncode == 2
    assert told in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "none").exists()


def test_a_bad_hyperparameter_is_named_with_its_value(tmp_path: Path, profile: Path) -> None:
    profile.write_text(PROFILE.replace("lr_actor = 1e-3", "gamma = 1.5"))
    done = run("train", "--windows", 2, "--profile", profile, "--out", tmp_path / "none")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "gamma is 1.5" in done.stderr


def test_every_profile_that_is_shipped_can_be_read() -> None:
    names = {path.stem for path in SHIPPED.parent.glob("*.toml")}
    assert {"shipped", "reference"} <= names
    for name in names:
        assert read_profile(Path(name)).feature_schema.size > 0


def _wait_for(path: Path) -> None:
    deadline = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _children(pid: int) -> list[int]:
    done = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True, check=False)
    return [int(line) for line in done.stdout.split()]


def _gone(pids: list[int]) -> None:
    deadline = time.monotonic() + 10
    while any(Path(f"/proc/{pid}").exists() for pid in pids):
        assert time.monotonic() < deadline
        time.sleep(0.05)
