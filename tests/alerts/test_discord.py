"""The Discord channel against a webhook on a real socket: what each way to misbehave is to the one who sends."""

import socket
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.alerts.channel import RateLimitedError
from core.errors import FuseboxError, RejectedError, TransientError, UnknownOutcomeError
from tests.alerts.webhook import NO_CONTENT, Answer, Behaviour, too_many, webhook
from venues.channels.discord import LONGEST, LONGEST_RETRY_AFTER_S, MARKDOWN, RATE, RETRY_AFTER_S, DiscordChannel
from venues.channels.discord import open_channel as open_discord

SECRET = "hunter2-token-of-the-webhook"  # noqa: S105 -- planted


def send(*behaviours: Behaviour, text: str = "start: session 1", within_s: float = 5.0) -> float:
    with webhook(*behaviours) as server:
        return DiscordChannel(server.url(), within_s).send(text)


def test_a_text_arrives_as_it_is_and_mentions_nobody() -> None:
    text = "12:00:00 start: @everyone *db_writer* <@1> `x` [a](b) ~~|| # >"
    with webhook(NO_CONTENT) as server:
        assert DiscordChannel(f"{server.url()}?thread_id=5").send(text) == 0.0

    assert server.posted == [text]
    assert server.documents[0]["content"] != text  # nothing in it is formatting
    assert server.documents[0]["allowed_mentions"] == {"parse": []}
    assert server.targets == [f"/api/webhooks/17/{SECRET}?thread_id=5&wait=true"]


@given(st.text(max_size=LONGEST))
@settings(max_examples=200, deadline=None)
def test_the_longest_text_is_not_too_long_for_discord(text: str) -> None:
    assert len(MARKDOWN.sub(r"\\\1", text)) <= 2_000


def test_it_allows_itself_less_than_discord_does() -> None:
    """5 requests in 2 s for a webhook, 30 messages in a minute for its channel."""
    assert RATE.burst + 2 * RATE.per_s <= 5
    assert RATE.burst + 60 * RATE.per_s <= 30


@pytest.mark.parametrize(
    ("answer", "seconds"),
    [
        (too_many(0.75), 0.75),
        (too_many(0.75, "3"), 3.0),
        (too_many(64.2, "1"), 64.2),
        (Answer(429, b"<html>", {"Retry-After": "12"}), 12.0),
        (Answer(429, b'{"retry_after": "soon"}'), RETRY_AFTER_S),
        (Answer(429, b'{"retry_after": -1}', {"Retry-After": "nan"}), RETRY_AFTER_S),
        (Answer(429, b'{"retry_after": 1e99}'), LONGEST_RETRY_AFTER_S),
        (Answer(429, b"[1, 2]", {"Retry-After": "Fri, 28 Nov 2026 12:00:00 GMT"}), RETRY_AFTER_S),
        (Answer(429), RETRY_AFTER_S),
    ],
)
def test_too_many_requests_say_how_long_to_wait(answer: Answer, seconds: float) -> None:
    with pytest.raises(RateLimitedError, match="webhook answered 429") as caught:
        send(answer)

    assert caught.value.retry_after_s == seconds


@pytest.mark.parametrize(
    ("behaviour", "error"),
    [
        (Answer(500, b"oops"), TransientError),
        (Answer(503), TransientError),
        (Answer(408), TransientError),
        (Answer(400, b'{"content": ["too long"]}'), RejectedError),
        (Answer(401), RejectedError),
        (Answer(404, b'{"message": "Unknown Webhook"}'), RejectedError),
        (Answer(302, b"", {"Location": "http://127.0.0.1:9/"}), RejectedError),
        ("reset before", UnknownOutcomeError),
        ("reset after", UnknownOutcomeError),
        ("closes", UnknownOutcomeError),
        ("garbage", UnknownOutcomeError),
    ],
)
def test_an_error_says_what_may_be_done_next_and_no_secret(behaviour: Behaviour, error: type[FuseboxError]) -> None:
    with pytest.raises(FuseboxError, match=r"^webhook") as caught:
        send(behaviour)

    assert type(caught.value) is error
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("behaviour", ["silent", "trickle"])
def test_an_answer_that_never_ends_is_given_up_in_time(behaviour: Behaviour) -> None:
    began_s = time.monotonic()
    with pytest.raises(UnknownOutcomeError, match=r"^webhook: no answer within 0\.5 s$"):
        send(behaviour, within_s=0.5)

    assert time.monotonic() - began_s < 5.0


def test_an_answer_without_sense_but_with_success_is_a_delivery() -> None:
    assert send("refuses json") == 0.0


def test_a_webhook_that_has_nothing_left_is_left_alone() -> None:
    empty = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset-After": "1.25"}
    assert send(Answer(200, b"{}", empty)) == 1.25
    assert send(Answer(200, b"{}", {**empty, "X-RateLimit-Remaining": "3"})) == 0.0
    assert send(Answer(200, b"{}", {**empty, "X-RateLimit-Reset-After": "?"})) == 0.0


def test_nobody_listening_is_known_not_to_have_heard() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(TransientError, match=r"^webhook: not reached") as caught:
        DiscordChannel(f"http://127.0.0.1:{port}/api/webhooks/1/{SECRET}").send("x")

    assert SECRET not in str(caught.value)


def test_an_address_of_no_use_is_said_so_without_showing_it() -> None:
    with pytest.raises(RejectedError) as caught:
        open_discord(f"https://[{SECRET}/api")

    assert SECRET not in str(caught.value)
