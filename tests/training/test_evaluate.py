"""`evaluate` from the command line: the same result each time, fair comparisons, no window that was trained on."""

import base64
import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cli.evaluation import labels
from cli.policy_files import policy_in
from cli.seeds import parse_seeds
from cli.training_folder import Plan, Progress, RunFolder
from cli.training_profile import SHIPPED, read_profile
from cli.usage import UsageError
from core.market.features import FUSED_FEATURES
from models.checkpoint import MODEL, fresh_weights, model_payload
from models.plain import PlainPolicy
from storage.checkpoints import Generation, write_file

ROOT = Path(__file__).resolve().parents[2]
BRIEF = ("--window-s", 60, "--assets", "BTC,ETH", "--seeds", "901-902", "--world", "lagged")


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "supervisor.py"), "evaluate", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


def judged(*arguments: object) -> dict[str, Any]:
    done = run(*arguments, "--json")
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    return result


@pytest.fixture
def trained(tmp_path: Path) -> Path:
    """A policy's file that says it was trained on seed 902."""
    plan = Plan(
        worlds=("lagged",), recordings=None, seed=902, windows=1, envs=1, keep_every=0, warm_start=None,
        profile=read_profile(SHIPPED),
    )  # fmt: skip
    return RunFolder.create(tmp_path / "run", plan).export(Progress(1, 1, 1), fresh_weights(1, FUSED_FEATURES))


def test_two_policies_on_the_same_windows_give_the_same_json_twice(tmp_path: Path) -> None:
    asked = ("--policy", "fair-value", "--policy", "hold", *BRIEF)
    first = judged(*asked, "--jobs", 2, "--out", tmp_path)
    assert first == judged(*asked, "--jobs", 1)
    assert first == json.loads((tmp_path / "evaluation.json").read_text())
    fair, hold = first["rows"]
    assert (first["conditions"]["windows"], first["conditions"]["markets"]) == (2, 4)
    assert fair["performance"]["all"]["trades"] > 0
    assert hold["performance"]["all"]["trades"] == 0
    ahead = next(d for d in first["differences"] if (d["policy"], d["other"]) == ("fair-value", "hold"))
    assert ahead["net"]["total_usd"] == fair["performance"]["net"]["total_usd"]
    assert float(ahead["net"]["low_usd"]) <= float(ahead["net"]["total_usd"]) <= float(ahead["net"]["high_usd"])


def test_the_page_holds_every_table_and_every_picture(tmp_path: Path) -> None:
    done = run("--policy", "oracle", "--policy", "random", *BRIEF, "--jobs", 1, "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "evaluation.html").read_text()
    titles = re.findall(r"<h2>(.*?)</h2>", page)
    assert [title.removesuffix(", USD") for title in titles[:7]] == [
        "policies",
        "a window and the way there",
        "orders",
        "by asset",
        "by side",
        "differences on the same windows",
        "calibration of the traded side",
    ]
    for picture in re.findall(r'base64,([^"]+)"', page):
        assert base64.b64decode(picture).startswith(b"\x89PNG")
    assert {path.stem for path in tmp_path.glob("*.png")} == set(titles[7:])
    assert "taker fee 0.07" in page
    assert "seeds 901-902" in page
    assert "http" not in page.replace("http-equiv", "")


def test_the_share_of_the_oracle_is_that_of_its_net_result() -> None:
    rows = judged("--policy", "oracle", "--policy", "fair-value", *BRIEF)["rows"]
    totals = [float(row["performance"]["net"]["total_usd"]) for row in rows]
    assert totals[0] > 0
    assert [row["oracle_share"] for row in rows] == pytest.approx([1.0, totals[1] / totals[0]])


def test_a_passive_entry_pays_no_fee_for_what_it_gets() -> None:
    taker, passive = (judged("--policy", "fair-value", *BRIEF, "--entry", entry) for entry in ("taker", "passive"))
    assert passive["conditions"]["entry"].startswith("passive (post-only")
    assert taker["rows"][0]["maker_fills"] == 0
    assert 0 < passive["rows"][0]["maker_fills"] < passive["rows"][0]["fills"]
    fees = [
        float(r["rows"][0]["performance"]["all"]["fees_usd"]) / r["rows"][0]["performance"]["all"]["trades"]
        for r in (taker, passive)
    ]
    assert fees[1] < 0.8 * fees[0]


def test_seeds_that_a_policy_was_trained_on_are_refused(trained: Path) -> None:
    done = run("--policy", trained, *BRIEF)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "was trained on seeds 902: judge it on others by --seeds" in done.stderr


def test_a_policy_says_what_it_was_trained_on(trained: Path) -> None:
    row = judged("--policy", trained, *BRIEF[:-4], "--seeds", 901)["rows"][0]
    assert (row["policy"], row["file"]) == ("policy", str(trained))
    assert row["known_training"] == "lagged, seeds 902"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--policy", "nobody"), "--policy nobody: no such file or baseline; baselines are hold, random"),
        (("--policy", "hold", "--seeds", "9-1"), "--seeds 9-1: 9-1 names no seeds"),
        (("--policy", "hold", "--seeds", "x"), "--seeds x: 'x' is no seed"),
        (("--policy", "hold", "--world", "mars"), "--world mars: no such world; give one of"),
        (("--policy", "hold", "--assets", "DOGE"), "--assets DOGE: no such asset; give some of BTC"),
        (("--policy", "hold", "--recordings", "/nowhere"), "--recordings: /nowhere does not exist"),
        (("--policy", "oracle", "--recordings", "/nowhere"), "only a simulated world knows the true value"),
        (("--policy", str(ROOT / "README.md")), "README.md: "),
    ],
)
def test_a_bad_argument_is_one_line(arguments: tuple[str, ...], told: str) -> None:
    done = run(*arguments)
    assert told in done.stderr
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)


def test_seeds_are_ranges_and_lists() -> None:
    assert parse_seeds("901-903, 7") == (901, 902, 903, 7)
    with pytest.raises(UsageError, match="more than"):
        parse_seeds("1-999999")


def test_files_are_called_by_as_much_of_their_path_as_tells_them_apart() -> None:
    assert labels(["hold", "a/x/policy.safetensors", "a/y/model.safetensors"]) == ["hold", "policy", "model"]
    assert labels(["a/x/policy.safetensors", "a/y/policy.safetensors"]) == ["x/policy", "y/policy"]


def test_the_shipped_policy_has_a_name_and_an_exported_checkpoint_is_a_policy(tmp_path: Path) -> None:
    weights = fresh_weights(1, FUSED_FEATURES)
    payload = model_payload(weights, source="test")
    exported = tmp_path / "model.checkpoint"
    of = Generation(
        "model",
        "model/test",
        1,
        MODEL.version,
        hashlib.sha256(payload).hexdigest(),
        sound=True,
        size_bytes=len(payload),
        created_at_ms=0,
    )
    write_file(exported, of, payload)
    assert isinstance(policy_in(exported), PlainPolicy)
    rows = judged("--policy", "shipped", "--policy", exported, *BRIEF[:-4], "--seeds", 901)["rows"]
    assert [row["policy"] for row in rows] == ["shipped", "model"]
