"""One episode of the embedded world through the whole actor system."""

import numpy as np

from cli.rollout import EpisodeResult, Terms, run_episode
from cli.simulated import Episode, SimulatedStage, episode_of
from models.checkpoint import fresh_weights
from models.plain import PlainPolicy

SAMPLED = Terms(sample=True)


def play(episode: Episode, terms: Terms = SAMPLED) -> EpisodeResult:
    policy = PlainPolicy(fresh_weights(3))
    return run_episode(SimulatedStage(episode), lambda: policy, terms)


def steps(result: EpisodeResult) -> list[tuple[object, ...]]:
    return [(t.asset, t.at_ms, t.action, t.log_prob, t.value, t.features.tobytes()) for t in result.transitions]


def test_an_episode_is_the_same_each_time() -> None:
    episode = episode_of("lagged", 5, 0, 60, ("BTC", "ETH"))
    first, second = play(episode), play(episode)
    assert steps(first) == steps(second)
    assert first.trades == second.trades
    assert first.transitions


def test_other_seeds_and_numbers_are_other_episodes() -> None:
    episodes = [episode_of("lagged", seed, number, 60, ("BTC",)) for seed, number in ((5, 0), (5, 1), (6, 0))]
    assert len({each.first_opens_s for each in episodes}) == 3
    assert len({tuple(steps(play(each))) for each in episodes}) == 3


def test_windows_of_an_episode_lie_within_one_day() -> None:
    for number in range(200):
        episode = episode_of("today", 1, number, 900, ("BTC",), windows=4)
        assert episode.first_opens_s % 900 == 0
        assert episode.first_opens_s // 86_400 == (episode.first_opens_s + 4 * 900) // 86_400


def test_every_grid_step_of_every_window_is_a_transition() -> None:
    result = play(episode_of("today", 2, 0, 60, ("BTC", "SOL"), windows=2))
    for winner in result.winners:
        mine = [t for t in result.transitions if t.condition_id == winner]
        assert np.diff([t.at_ms for t in mine]).tolist() == [500] * (len(mine) - 1)
        assert len(mine) >= 118
        assert mine[-1].done
