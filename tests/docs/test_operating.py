"""What somebody needs at three in the morning is on the page: every hold, and every field of `status --json`."""

from collections.abc import Iterator

import msgspec
import pytest

from actors.feed_watch import CLOCK
from actors.venue_holds import MISSED, NOT_RECONCILED, PAUSED, REFUSES
from actors.watchdog import STARTING, UNJOURNALED, UNRECORDED
from cli.divergence import Divergence
from cli.lease_watch import FRESH, LOST, UNKNOWN
from cli.status_report import Status
from cli.watchdog_watch import SILENT
from core.trading.forced_exits import RETIRED
from core.trading.lasting_holds import LASTING
from tests.docs.pages import ROOT

PAGE = (ROOT / "docs" / "operating.md").read_text()
PASSING = {
    CLOCK,
    MISSED,
    NOT_RECONCILED,
    PAUSED,
    REFUSES,
    STARTING,
    UNJOURNALED,
    UNRECORDED,
    FRESH,
    LOST,
    UNKNOWN,
    SILENT,
}


def hold_rows() -> dict[str, str]:
    """Return the line of each hold on the page, by its name."""
    table = PAGE.partition("### Holds")[2].partition("\n## ")[0]
    lines = [line for line in table.splitlines() if line.startswith("| ")]
    return {name.strip(" `"): line for line in lines for name in line.split("|")[1].split(",")}


@pytest.mark.parametrize("reason", sorted({*PASSING, *LASTING, RETIRED}))
def test_each_hold_has_what_to_do(reason: str) -> None:
    assert reason in hold_rows()


@pytest.mark.parametrize("reason", sorted(LASTING))
def test_what_only_a_person_lifts_says_so(reason: str) -> None:
    assert "*resume*" in hold_rows()[reason]


def fields_below(kind: type) -> Iterator[str]:
    """Yield the fields of a struct and of those inside it; what a divergence is made of, docs/dual.md tells."""
    for field in msgspec.structs.fields(kind):
        yield field.name
        for struct in structs_in(field.type):
            if struct is not Divergence:
                yield from fields_below(struct)


def structs_in(annotation: object) -> Iterator[type]:
    if isinstance(annotation, type) and issubclass(annotation, msgspec.Struct):
        yield annotation
    for part in getattr(annotation, "__args__", ()):
        yield from structs_in(part)


def test_each_field_of_a_status_is_described() -> None:
    assert {name for name in fields_below(Status) if f"`{name}`" not in PAGE} == set()
