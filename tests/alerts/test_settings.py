"""What the settings take for a channel's address, and that every secret of theirs is hidden in texts."""

from pathlib import Path

import pytest

from cli.alerting import post_of, scrubber_of, started
from config.load import ConfigError, load_settings
from core.alerts.kinds import Importance
from core.trading.gate import GateLevel, GateState, Hold

KEY = "0x" + "1f" * 32


@pytest.mark.parametrize(
    "url",
    [
        "https://discord.com/api/webhooks/1/x",
        "http://127.0.0.1:8080/api/webhooks/1/x",
        "http://127.9.9.9/x",
        "http://localhost:1/x",
        "http://[::1]:1/x",
    ],
)
def test_an_address_is_https_or_on_this_host(url: str) -> None:
    assert load_settings({"DISCORD_WEBHOOK_URL": url}).channel_urls == (("discord", url),)
    assert load_settings({"FUSEBOX_ALERT_CHANNELS": f"discord={url}"}).channel_urls == (("discord", url),)


@pytest.mark.parametrize(
    "url",
    [
        "http://discord.com/hunter2",
        "http://127.0.0.1@evil.example/hunter2",
        "http://127.0.0.1.evil.example/hunter2",
        "http://1270.0.0.1/hunter2",
        "http://localhost.evil.example/hunter2",
        "ftp://127.0.0.1/hunter2",
        "https:///hunter2",
        "https://[hunter2",
        "hunter2",
    ],
)
def test_an_address_that_others_could_read_is_refused_and_not_shown(url: str) -> None:
    for environ in ({"DISCORD_WEBHOOK_URL": url}, {"FUSEBOX_ALERT_CHANNELS": f"discord={url}"}):
        with pytest.raises(ConfigError, match=r"not .*https://") as caught:
            load_settings(environ)
        assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("channels", ["discord=https://a/hunter2,discord=https://b/hunter2", "https://a/hunter2", "=x"])
def test_each_channel_has_a_name_of_its_own(channels: str) -> None:
    with pytest.raises(ConfigError, match=r"^FUSEBOX_ALERT_CHANNELS=\(not shown\): ") as caught:
        load_settings({"FUSEBOX_ALERT_CHANNELS": channels})
    assert "hunter2" not in str(caught.value)


def test_one_webhook_is_not_named_in_two_places() -> None:
    with pytest.raises(ConfigError, match=r"^FUSEBOX_ALERT_CHANNELS: names discord"):
        load_settings({"DISCORD_WEBHOOK_URL": "https://a/b", "FUSEBOX_ALERT_CHANNELS": "discord=https://a/b"})


def test_every_secret_of_the_settings_is_hidden(tmp_path: Path) -> None:
    key_file = tmp_path / "key"
    key_file.write_text(f"{KEY}\n")
    settings = load_settings(
        {
            "DATABASE_URL": "postgresql://u:data%20base-secret@h/n",
            "DISCORD_WEBHOOK_URL": "https://discord.com/api/webhooks/1/webhook-secret-of-length",
            "FUSEBOX_ALERT_CHANNELS": "pager=https://pager.example/v1/pager-secret-of-length?key=query-secret",
            "FUSEBOX_PRIVATE_KEY_FILE": str(key_file),
        }
    )
    text = scrubber_of(settings)(
        f"data base-secret data%20base-secret webhook-secret-of-length pager-secret-of-length key=query-secret "
        f"{KEY} {KEY.upper()} {KEY[2:]}"
    )

    assert "secret" not in text.lower()
    assert "1f1f" not in text.lower()


def test_what_is_sent_is_what_the_settings_say() -> None:
    post = post_of(
        load_settings({"FUSEBOX_ALERT_LEVEL": "urgent", "FUSEBOX_ALERT_GROUP_S": "7"}),
        lambda _from, _until: (),
        lambda _before: (),
    )

    assert (post.channels, post.least, post.group_s) == ((), Importance.URGENT, 7.0)


def test_the_first_line_of_a_run_says_what_keeps_the_gate_shut() -> None:
    settings = load_settings({"FUSEBOX_ASSETS": "BTC"})
    gate = GateState((Hold("", "halt", GateLevel.CLOSED, "looking", "me"), Hold("BTC", "starting", GateLevel.CLOSED)))

    assert started(settings, 3, None, gate) == (
        "session 3 runs: paper, demo, world lagged, BTC; the gate is not open: all closed: halt (looking) by me"
    )
