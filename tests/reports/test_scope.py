"""What `--since` and `--session` mean, and what is said of what they cannot mean."""

from datetime import UTC, datetime, timedelta

import pytest

from cli.client import NotRunningError
from cli.exit_codes import EXIT_BAD_CONFIG, exit_code
from cli.report_scope import chosen, milliseconds, parse_since
from cli.usage import UsageError
from storage.report_rows import SessionFacts

NOW = datetime(2026, 4, 21, 12, 0, tzinfo=UTC)


def session(number: int, mode: str = "paper", venue: str = "demo", trades: int = 0) -> SessionFacts:
    return SessionFacts(number, mode, venue, "ended", 0, 1, None, trades, 0, 0)


@pytest.mark.parametrize(
    ("text", "ago"),
    [
        ("30s", timedelta(seconds=30)),
        ("90m", timedelta(minutes=90)),
        ("24h", timedelta(days=1)),
        ("7d", timedelta(days=7)),
        ("2w", timedelta(weeks=2)),
        (" 0h ", timedelta()),
        ("2026-04-21", timedelta(hours=12)),
        ("2026-04-21T11:30", timedelta(minutes=30)),
        ("2026-04-21 11:30:15", timedelta(minutes=29, seconds=45)),
        ("2026-04-21T13:30+02:00", timedelta(minutes=30)),
        ("2026-04-21T11:00:00Z", timedelta(hours=1)),
    ],
)
def test_since_is_a_duration_or_a_moment(text: str, ago: timedelta) -> None:
    assert NOW - parse_since(text, NOW) == ago


@pytest.mark.parametrize(
    "text", ["", "h", "24", "24 h", "-1h", "1.5h", "1y", "yesterday", "2026-13-01", "2026-04-22", "99999999w", "12:00"]
)
def test_anything_else_is_one_line_that_names_it(text: str) -> None:
    with pytest.raises(UsageError) as raised:
        parse_since(text, NOW)
    assert str(raised.value).startswith(f"--since {text}: ")
    assert "\n" not in str(raised.value)
    assert exit_code(raised.value) == EXIT_BAD_CONFIG


def test_a_moment_before_1970_is_the_beginning() -> None:
    assert milliseconds(parse_since("1900-01-01", NOW)) == milliseconds(None) == 0


def test_paper_beside_live_is_not_the_newest() -> None:
    beside = session(3, venue="beside live session 2")
    known = [session(1), session(2, "live", "polymarket, 0xf"), beside]
    assert beside.live_session == 2
    assert [each.id for each in chosen(known, None, since=False).sessions] == [2]
    assert [each.id for each in chosen(known, 3, since=False).sessions] == [3]


def test_since_follows_the_newest_session_that_traded() -> None:
    known = [session(1, trades=2), session(2, "live", trades=1), session(3, trades=4), session(4), session(5, "live")]
    scope = chosen(known, None, since=True)
    assert [each.id for each in scope.sessions] == [1, 3]
    assert [each.id for each in scope.others] == [2]
    quiet = chosen([session(1), session(2, "live")], None, since=True)
    assert ([each.id for each in quiet.sessions], quiet.others) == ([2], ())


def test_an_unknown_session_is_answered_with_those_there_are() -> None:
    with pytest.raises(UsageError) as raised:
        chosen([session(1), session(4, "live", "polymarket, 0xf")], 3, since=False)
    assert str(raised.value) == (
        "--session 3: there is no such session; the newest are 1 (paper, demo), 4 (live, polymarket, 0xf)"
    )
    with pytest.raises(NotRunningError, match="no session was ever stored"):
        chosen([], None, since=False)
