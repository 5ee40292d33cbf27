"""`config`: every setting with its value, unit and source; no secret; and whether a run could start with them."""

import json
from typing import Any

import pytest

from config.load import VARIABLES
from config.settings import SECRETS, Settings
from tests.commands.conftest import Command


def shown(command: Command, capsys: pytest.CaptureFixture[str], *arguments: str, **environ: str) -> dict[str, Any]:
    command("config", "show", "--json", *arguments, **environ)
    return {each["setting"]: each for each in json.loads(capsys.readouterr().out)["settings"]}


def test_every_setting_is_there_with_its_source(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    rows = shown(command, capsys, "--mode", "dual", FUSEBOX_SEED="3")

    assert list(rows) == list(Settings.model_fields)
    assert (rows["seed"]["value"], rows["seed"]["source"]) == ("3", "environment FUSEBOX_SEED")
    assert rows["mode"]["source"] == "option --mode"
    assert rows["window_s"]["source"] == "profile demo"
    assert rows["world"]["source"] == "default"
    assert rows["window_s"]["unit"] == "s"


def test_seconds_and_limits_say_what_they_come_to(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    rows = shown(command, capsys, FUSEBOX_TRADE_SIZE_USD="200")

    assert (rows["exit_seconds_before_close"]["value"], rows["exit_seconds_before_close"]["comes_to"]) == ("120", "8")
    assert (rows["max_position_usd"]["value"], rows["max_position_usd"]["comes_to"]) == ("none", "300")


def test_no_secret_is_shown(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    secrets = {
        "DATABASE_URL": "postgresql://u:hunter2@host/x",
        "FUSEBOX_PRIVATE_KEY": "0x" + "ab" * 32,
        "FUSEBOX_DASHBOARD_PASSWORD": "hunter2hunter2",
        "DISCORD_WEBHOOK_URL": "https://discord.com/api/webhooks/1/hunter2",
        "FUSEBOX_ALERT_CHANNELS": "pigeon=https://host/hunter2",
    }
    assert set(secrets) == {VARIABLES[name] for name in SECRETS}

    for arguments in (("show",), ("show", "--json"), ("check",)):
        command("config", *arguments, **secrets)
        printed = "".join(capsys.readouterr())
        assert "hunter2" not in printed
        assert "abab" not in printed
    assert "DATABASE_URL=(set, not shown)  # environment DATABASE_URL" in show_changed(command, capsys)


def show_changed(command: Command, capsys: pytest.CaptureFixture[str]) -> str:
    command("config", "show", "--changed")
    return capsys.readouterr().out


def test_changed_is_only_what_differs_from_the_defaults(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    before = show_changed(command, capsys)
    command("config", "show", "--changed", FUSEBOX_SEED="3", FUSEBOX_WORLD="lagged")
    after = capsys.readouterr().out

    assert set(after.splitlines()) - set(before.splitlines()) == {"FUSEBOX_SEED=3  # environment FUSEBOX_SEED"}


def test_what_cannot_be_used_is_named_and_the_rest_is_shown(
    command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = {
        "FUSEBOX_SEED": "x",
        "FUSEBOX_SED": "3",
        "FUSEBOX_EXIT_SECONDS_BEFORE_CLOSE": "500",
        "FUSEBOX_WORLD": "today",
    }
    assert command("config", "show", "--changed", **bad) == 2

    out, told = capsys.readouterr()
    assert "FUSEBOX_WORLD=today" in out
    assert "FUSEBOX_SEED=" not in out
    assert [line.split(":")[1].split("=")[0].strip() for line in told.splitlines()] == [
        "FUSEBOX_SED", "FUSEBOX_SEED", "FUSEBOX_MIN_SECONDS_LEFT_TO_OPEN",
    ]  # fmt: skip


def test_check_says_so_with_its_exit_code(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("config", "check", "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"ok": True, "problems": []}

    assert command("config", "check", "--profile", "prod") == 2
    assert capsys.readouterr().err.startswith("fusebox: --profile prod: must be 'demo' or 'real'")


def test_a_setting_left_out_falls_back_to_the_profile(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    rows = shown(command, capsys, "--profile", "real", FUSEBOX_WINDOW_S="60")

    assert (rows["window_s"]["value"], rows["window_s"]["source"]) == ("900", "profile real")
