"""Steps gathered per asset and window until what each of them earned is known.

Step t owns what was realised in (t, t+1]: its reward is the equity at the next step less its own. The window's last
step earns the final PnL less its equity; a window that ends with something held waits for the venue's winner. So the
rewards of a window add up to its realised net PnL, to the last micro-dollar.
"""

from collections import deque
from typing import Self

import msgspec
import numpy as np

from core.errors import RejectedError
from core.market.features import HISTORY_STATES
from models.ppo.hyper import RewardProfile
from models.ppo.step import Segment, Step

Key = tuple[str, str]
"""Asset and condition id."""

_REMEMBERED = 8
"""Windows of an asset whose late repetitions are recognised after they were used."""


class Trajectories:
    """The learner's buffer: every window's steps apart from every other's.

    Args:
        features: features per state.
        reward: what a step earns.
        patience: newer windows of an asset after which one that was never settled is given up.
    """

    def __init__(self, features: int, reward: RewardProfile = "net_liquidation", patience: int = 4) -> None:
        self._features = features
        self._reward = reward
        self._patience = patience
        self._open: dict[Key, _Trajectory] = {}
        self._ended: dict[str, deque[str]] = {}
        self._given_up: list[Key] = []

    @property
    def reward(self) -> RewardProfile:
        """What a step earns."""
        return self._reward

    @property
    def ready(self) -> int:
        """Steps whose reward is known and which were not taken yet."""
        return sum(trajectory.ready for trajectory in self._open.values())

    @property
    def waiting(self) -> tuple[Key, ...]:
        """Windows that ended with something held and are not settled yet."""
        return tuple(key for key, trajectory in self._open.items() if trajectory.unsettled)

    def add(self, key: Key, step: Step, *, done: bool) -> bool:
        """Append one step to its window; `done` marks the window's last. Return False for one that is known already.

        The first step of a newer window ends the asset's older ones: their last step may have been lost.

        Raises:
            RejectedError: the step is of no use; the window goes on without it.
        """
        asset, condition_id = key
        if condition_id in self._ended.get(asset, ()):
            return False
        step.check(self._features)
        trajectory = self._open.get(key)
        if trajectory is None:
            trajectory = self._open[key] = _Trajectory()
            self._age(key)
        return trajectory.add(step, done=done)

    def close(self, key: Key, pnl_net_usd: int) -> None:
        """Take the settled net PnL of a window, integer of 1e-6; of use where something was held at its end."""
        trajectory = self._open.get(key)
        if trajectory is not None:
            trajectory.settled_usd = pnl_net_usd

    def take(self) -> list[Segment]:
        """Return every ready step, one segment per window, and forget them."""
        segments = []
        for key, trajectory in list(self._open.items()):
            if trajectory.ready:
                segments.append(trajectory.take(key, self._reward))
            if not trajectory.steps:
                self._forget(key)
        return segments

    def given_up(self) -> tuple[Key, ...]:
        """Return the windows dropped unsettled since the last call."""
        keys, self._given_up = tuple(self._given_up), []
        return keys

    def dump(self) -> bytes:
        """Return everything held, for a checkpoint."""
        windows = [_stored(key, trajectory) for key, trajectory in self._open.items()]
        ended = {asset: list(conditions) for asset, conditions in self._ended.items()}
        return msgspec.msgpack.encode(_Dump(self._features, self._reward, self._patience, windows, ended))

    @classmethod
    def load(cls, payload: bytes) -> Self:
        """Return the buffer of a `dump`.

        Raises:
            RejectedError: it does not decode.
        """
        try:
            dump = msgspec.msgpack.decode(payload, type=_Dump)
            loaded = cls(dump.features, dump.reward, dump.patience)
            for window in dump.windows:
                loaded._open[window.asset, window.condition_id] = _restored(window, dump.features)
        except (msgspec.MsgspecError, ValueError) as error:
            raise RejectedError(f"the stored trajectories cannot be read ({error})") from error
        loaded._ended = {asset: deque(conditions, _REMEMBERED) for asset, conditions in dump.ended.items()}
        return loaded

    def _age(self, newest: Key) -> None:
        """End the asset's older windows, and give up on those that have waited too long."""
        older = [key for key in self._open if key[0] == newest[0] and key != newest]
        for number, key in enumerate(older):
            trajectory = self._open[key]
            trajectory.ended = True
            if trajectory.unsettled and len(older) - number > self._patience:
                self._given_up.append(key)
                self._forget(key)

    def _forget(self, key: Key) -> None:
        del self._open[key]
        self._ended.setdefault(key[0], deque(maxlen=_REMEMBERED)).append(key[1])


class _Trajectory:
    """The unused steps of one window."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.ended = False
        self.settled_usd: int | None = None
        self.opening_usd = 0
        self.newest_ms = -1

    @property
    def unsettled(self) -> bool:
        return self.ended and self.settled_usd is None and self.steps[-1].held

    @property
    def ready(self) -> int:
        if self.ended:
            return 0 if self.unsettled else len(self.steps)
        return len(self.steps) - 1

    def add(self, step: Step, *, done: bool) -> bool:
        if self.ended or step.at_ms <= self.newest_ms:
            return False
        if self.newest_ms < 0:
            self.opening_usd = step.equity_usd
        self.steps.append(step)
        self.newest_ms = step.at_ms
        self.ended = done
        return True

    def take(self, key: Key, reward: RewardProfile) -> Segment:
        used, self.steps = self.steps[: self.ready], self.steps[self.ready :]
        following = self.steps[0] if self.steps else None
        last = used[-1]
        if following is not None:
            after_usd = following.equity_usd
        else:
            after_usd = self.settled_usd if last.held and self.settled_usd is not None else last.equity_usd
        rewards = np.diff([*(step.equity_usd for step in used), after_usd])
        if reward == "close":
            rewards[:] = 0
            if following is None:
                rewards[-1] = after_usd - self.opening_usd
        return Segment(
            asset=key[0],
            condition_id=key[1],
            features=np.stack([step.features for step in used]).astype(np.float32),
            history=np.stack([step.history.reshape(-1) for step in used]).astype(np.float32),
            actions=np.array([step.action for step in used], np.int32),
            log_probs=np.array([step.log_prob for step in used], np.float32),
            versions=np.array([step.version for step in used], np.int64),
            learns=np.array([step.free and not step.forced for step in used]),
            rewards_usd=rewards.astype(np.int64),
            next_features=None if following is None else following.features,
            next_history=None if following is None else following.history.reshape(-1),
        )


class _StoredStep(msgspec.Struct, frozen=True, array_like=True):
    features: bytes
    history: bytes
    action: int
    log_prob: float
    version: int
    equity_usd: int
    held: bool
    free: bool
    forced: bool
    at_ms: int


class _StoredWindow(msgspec.Struct, frozen=True):
    asset: str
    condition_id: str
    ended: bool
    settled_usd: int | None
    opening_usd: int
    newest_ms: int
    steps: list[_StoredStep]


class _Dump(msgspec.Struct, frozen=True):
    features: int
    reward: RewardProfile
    patience: int
    windows: list[_StoredWindow]
    ended: dict[str, list[str]]


def _stored(key: Key, trajectory: _Trajectory) -> _StoredWindow:
    steps = [
        _StoredStep(
            *(getattr(step, name).astype("<f4").tobytes() for name in ("features", "history")),
            *(getattr(step, name) for name in _StoredStep.__struct_fields__[2:]),
        )
        for step in trajectory.steps
    ]
    return _StoredWindow(
        asset=key[0],
        condition_id=key[1],
        ended=trajectory.ended,
        settled_usd=trajectory.settled_usd,
        opening_usd=trajectory.opening_usd,
        newest_ms=trajectory.newest_ms,
        steps=steps,
    )


def _restored(window: _StoredWindow, features: int) -> _Trajectory:
    trajectory = _Trajectory()
    trajectory.ended, trajectory.settled_usd = window.ended, window.settled_usd
    trajectory.opening_usd, trajectory.newest_ms = window.opening_usd, window.newest_ms
    for stored in window.steps:
        numbers = {name: getattr(stored, name) for name in _StoredStep.__struct_fields__[2:]}
        trajectory.steps.append(
            Step(
                features=np.frombuffer(stored.features, "<f4").reshape(features),
                history=np.frombuffer(stored.history, "<f4").reshape(HISTORY_STATES, features),
                **numbers,
            )
        )
    return trajectory
