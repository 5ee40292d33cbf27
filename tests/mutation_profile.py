"""For `make mutate`: the same examples each time, none made smaller once one has failed; the quickest tests first."""

import json
from pathlib import Path

import pytest
from hypothesis import Phase, settings

settings.register_profile(
    "mutation", derandomize=True, database=None, deadline=None, phases=(Phase.explicit, Phase.generate)
)
STATISTICS = Path("mutants/mutmut-stats.json")
"""What mutmut has measured of the unchanged code; it runs the tests in the folder of mutants, or beside it."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run quick tests first: the first one that fails ends the run of a mutant."""
    found = next((path for path in (STATISTICS, Path(STATISTICS.name)) if path.exists()), None)
    if found is not None:
        seconds: dict[str, float] = json.loads(found.read_text())["duration_by_test"]
        items.sort(key=lambda item: seconds.get(item.nodeid, 0.0))
