"""Rules that follow from settings."""

from cli.rules import grid_phases


def test_no_two_assets_decide_at_the_same_moment() -> None:
    assert grid_phases(("BTC", "ETH", "SOL", "XRP"), 500) == {"BTC": 0, "ETH": 25, "SOL": 50, "XRP": 75}


def test_the_phases_of_many_assets_fit_into_a_step_of_the_grid() -> None:
    phases = grid_phases(tuple(str(n) for n in range(64)), 500).values()
    assert len(set(phases)) == 64
    assert max(phases) < 500
