"""Advantages are those of the definition, whatever the segment."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from models.ppo.gae import advantages

numbers = st.floats(-100, 100)


def by_definition(rewards: list[float], values: list[float], bootstrap: float, gamma: float, lam: float) -> list[float]:
    """The exponentially weighted mean of the k-step estimates (Schulman et al. 2016, equation 16), one by one."""
    states = [*values, bootstrap]
    found = []
    for t in range(len(rewards)):
        longest = len(rewards) - t
        estimates = [
            sum(gamma**i * rewards[t + i] for i in range(k)) + gamma**k * states[t + k] - values[t]
            for k in range(1, longest + 1)
        ]
        weights = [(1 - lam) * lam ** (k - 1) for k in range(1, longest)] + [lam ** (longest - 1)]
        found.append(sum(weight * estimate for weight, estimate in zip(weights, estimates, strict=True)))
    return found


@given(
    st.lists(st.tuples(numbers, numbers), min_size=1, max_size=20),
    numbers,
    st.floats(0, 1),
    st.floats(0, 1),
)
def test_advantages_equal_the_weighted_mean_of_all_estimates(
    steps: list[tuple[float, float]], bootstrap: float, gamma: float, lam: float
) -> None:
    rewards, values = (list(column) for column in zip(*steps, strict=True))
    found = advantages(np.array(rewards), np.array(values), bootstrap, gamma, lam)
    np.testing.assert_allclose(found, by_definition(rewards, values, bootstrap, gamma, lam), rtol=1e-9, atol=1e-9)


def test_what_comes_after_a_cut_counts_and_after_an_end_does_not() -> None:
    rewards, values = np.zeros(3), np.zeros(3)
    assert advantages(rewards, values, 0.0, 0.9, 0.5).tolist() == [0.0, 0.0, 0.0]
    np.testing.assert_allclose(advantages(rewards, values, 1.0, 0.9, 0.5), [0.9 * 0.45**2, 0.9 * 0.45, 0.9])
