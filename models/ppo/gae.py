"""Generalised advantage estimation over one stretch of one trajectory."""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def advantages(rewards: Floats, values: Floats, bootstrap: float, gamma: float, lam: float) -> Floats:
    """Return the advantage of each step, shape (T,) (Schulman et al. 2016, equations 11 and 16).

        delta(t) = r(t) + gamma V(t+1) - V(t)
        A(t)     = delta(t) + gamma lam A(t+1)

    Args:
        rewards: what was earned in (t, t+1], shape (T,).
        values: V of the state each step began in, shape (T,).
        bootstrap: V of the state after the last step; 0 where the window ended with it.
        gamma: discount per step.
        lam: weight of the longer estimates.
    """
    deltas = rewards + gamma * np.append(values[1:], bootstrap) - values
    decay = gamma * lam
    estimate = 0.0
    backwards = []
    for delta in reversed(deltas.tolist()):
        estimate = delta + decay * estimate
        backwards.append(estimate)
    return np.array(backwards[::-1], np.float64)
