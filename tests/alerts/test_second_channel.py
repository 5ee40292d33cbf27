"""Another way to reach a person is one file in venues/channels, and a name in a setting."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import venues.channels
from cli.alerting import channels_of
from config.load import ConfigError, load_settings

FILE = '''
"""A channel that writes into a file."""
from urllib.parse import urlsplit
from core.alerts.channel import Rate

class FileChannel:
    name = "to_file"
    longest = 500
    rate = Rate(burst=10, per_s=1.0)

    def __init__(self, path):
        self.path = path

    def send(self, text):
        with open(self.path, "a") as file:
            file.write(text)
        return 0.0

def open_channel(url):
    return FileChannel(urlsplit(url).path)
'''


@pytest.fixture
def with_file(tmp_path: Path) -> Iterator[Path]:
    """Put the file beside the others while the test runs."""
    (tmp_path / "to_file.py").write_text(FILE)
    venues.channels.__path__.append(str(tmp_path))
    yield tmp_path
    venues.channels.__path__.remove(str(tmp_path))
    sys.modules.pop("venues.channels.to_file", None)


def test_it_is_found_by_its_name_and_used_beside_the_webhook(with_file: Path) -> None:
    told = with_file / "told"
    settings = load_settings(
        {
            "DISCORD_WEBHOOK_URL": "http://127.0.0.1:1/api/webhooks/1/x",
            "FUSEBOX_ALERT_CHANNELS": f"to_file=https://here{told}",
        }
    )
    discord, to_file = channels_of(settings)
    assert (discord.name, to_file.name) == ("discord", "to_file")
    to_file.send("a text")

    assert told.read_text() == "a text"


def test_a_channel_that_there_is_not_is_refused_without_its_address() -> None:
    settings = load_settings({"FUSEBOX_ALERT_CHANNELS": "pigeon=https://h/hunter2"})
    with pytest.raises(
        ConfigError, match=r"^FUSEBOX_ALERT_CHANNELS: there is no channel 'pigeon': choose from discord$"
    ):
        channels_of(settings)
