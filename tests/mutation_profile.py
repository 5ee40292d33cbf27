"""Hypothesis for `make mutate`: the same examples each time, and none made smaller once one has failed."""

from hypothesis import Phase, settings

settings.register_profile(
    "mutation", derandomize=True, database=None, deadline=None, phases=(Phase.explicit, Phase.generate)
)
