"""What several assets say alike is one line for a person; nothing else is held back."""

from collections.abc import Iterator

import pytest
from loguru import logger

from cli.observing import OneOfAKind


@pytest.fixture
def lines() -> Iterator[list[tuple[str, str]]]:
    seen: list[tuple[str, str]] = []
    sink = logger.add(lambda text: seen.append((text.record["level"].name, text.record["message"])), level="DEBUG")
    yield seen
    logger.remove(sink)


def test_the_same_from_another_assets_feed_is_for_the_file_until_a_second_has_passed(
    lines: list[tuple[str, str]],
) -> None:
    now_s = [0.0]
    log = OneOfAKind(lambda: now_s[0])
    for at_s, asset in ((0.0, "BTC"), (0.1, "ETH"), (0.9, "SOL"), (2.5, "BTC")):
        now_s[0] = at_s
        log(f"feed.binance.{asset} disconnected: refused")

    assert [level for level, _ in lines] == ["INFO", "DEBUG", "DEBUG", "INFO"]


def test_two_assets_with_the_same_trade_are_two_lines(lines: list[tuple[str, str]]) -> None:
    log = OneOfAKind(lambda: 0.0)
    for asset in ("BTC", "ETH"):
        log(f"{asset} OPEN UP (signal) FILLED: 50.00/50.00 at 0.500, limit 0.520")
    log("feed.binance.BTC disconnected: refused")
    log("feed.polymarket.BTC disconnected: refused")

    assert [level for level, _ in lines] == ["INFO"] * 4
