"""Weights survive a round trip, and what does not fit is refused in words that say what is wrong."""

from pathlib import Path

import msgspec
import numpy as np
import pytest
import safetensors.numpy

from core.market.action import Action
from core.market.features import REFERENCE_FEATURES
from models.checkpoint import fresh_weights, load_weights, save_weights
from models.policy import Policy
from models.weights import TrainingStats, Weights, WeightsError
from tests.models.reference import FEED_FORWARD_WEIGHTS, WEIGHTS, needs_reference


def same(one: Weights, other: Weights) -> bool:
    return (
        (one.version, one.schema, one.stats) == (other.version, other.schema, other.stats)
        and one.tensors.keys() == other.tensors.keys()
        and all(np.array_equal(tensor, other.tensors[name]) for name, tensor in one.tensors.items())
    )


@pytest.fixture
def trained() -> Weights:
    stats = TrainingStats(reward_mean=-0.5, reward_std=31.25, reward_count=77, gamma=0.999, buffer_size=512)
    return Weights.of(fresh_weights(3).tensors, version=12, stats=stats)


def test_saved_weights_are_loaded_as_they_were(tmp_path: Path, trained: Weights) -> None:
    path = tmp_path / "model.safetensors"
    save_weights(trained, path)
    assert same(load_weights(path), trained)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["model.safetensors", "model_stats.npz"]


def test_bytes_carry_everything_and_equal_weights_give_equal_bytes(trained: Weights) -> None:
    data = trained.to_bytes()
    again = Weights.from_bytes(data)
    assert same(again, trained)
    assert again.to_bytes() == data


def test_statistics_are_written_the_way_the_reference_reads_them(tmp_path: Path, trained: Weights) -> None:
    save_weights(trained, tmp_path / "model.safetensors")
    with np.load(tmp_path / "model_stats.npz") as stored:
        numbers = {name: stored[name].item() for name in stored}
    assert numbers == {
        "reward_mean": -0.5,
        "reward_std": 31.25,
        "reward_count": 77,
        "gamma": 0.999,
        "buffer_size": 512,
        "input_dim": 18,
        "hidden_size": 64,
        "critic_hidden_size": 96,
        "history_len": 5,
        "temporal_dim": 32,
    }


@needs_reference
def test_the_references_weights_are_loaded_with_their_statistics() -> None:
    weights = load_weights(WEIGHTS)
    stored = safetensors.numpy.load_file(WEIGHTS)
    assert weights.tensors.keys() == stored.keys()
    assert all(np.array_equal(weights.tensors[name], tensor) for name, tensor in stored.items())
    assert weights.schema == REFERENCE_FEATURES
    assert weights.version == 0
    assert weights.stats.reward_count == 24325
    assert weights.stats.reward_std == pytest.approx(31.597165)


@needs_reference
def test_the_older_feed_forward_model_is_refused_by_name() -> None:
    with pytest.raises(WeightsError, match="feed-forward model"):
        load_weights(FEED_FORWARD_WEIGHTS)


def test_fresh_weights_follow_their_seed() -> None:
    assert same(fresh_weights(1), fresh_weights(1))
    assert not same(fresh_weights(1), fresh_weights(2))


def test_weights_cannot_be_written_to(trained: Weights) -> None:
    with pytest.raises(ValueError, match="read-only"):
        trained.tensors["actor.fc1.bias"][0] = 1.0


def test_a_missing_file_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"none\.safetensors: cannot read the weights \(No such file"):
        load_weights(tmp_path / "none.safetensors")


@pytest.mark.parametrize("kept", [0, 4, 8, 1000, -1])
def test_a_truncated_file_is_one_clear_error(tmp_path: Path, trained: Weights, kept: int) -> None:
    path = tmp_path / "torn.safetensors"
    path.write_bytes(trained.to_bytes()[:kept])
    with pytest.raises(WeightsError, match=r"torn\.safetensors: not a whole safetensors file"):
        load_weights(path)


def test_garbage_is_one_clear_error(tmp_path: Path) -> None:
    path = tmp_path / "noise.safetensors"
    path.write_bytes(np.random.default_rng(0).bytes(5000))
    with pytest.raises(WeightsError, match="not a whole safetensors file"):
        load_weights(path)


def test_damaged_statistics_are_named(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(safetensors.numpy.save(dict(fresh_weights(0).tensors)))
    (tmp_path / "model_stats.npz").write_bytes(b"PK\x03\x04 torn")
    with pytest.raises(WeightsError, match=r"model_stats\.npz: not a whole statistics file"):
        load_weights(path)


def test_tensors_that_are_missing_surplus_misshapen_or_not_finite_are_named() -> None:
    tensors = dict(fresh_weights(0).tensors)
    bias = tensors.pop("critic.fc3.bias")
    with pytest.raises(WeightsError, match=r"missing: \['critic.fc3.bias'\]; not known: none"):
        Weights.of(tensors)
    with pytest.raises(WeightsError, match=r"missing: none; not known: \['critic.fc4.bias'\]"):
        Weights.of(tensors | {"critic.fc3.bias": bias, "critic.fc4.bias": bias})
    with pytest.raises(WeightsError, match=r"critic.fc3.bias has shape \(2,\), the network needs \(1,\)"):
        Weights.of(tensors | {"critic.fc3.bias": np.zeros(2)})
    with pytest.raises(WeightsError, match=r"critic.fc3.bias holds a number that is not finite"):
        Weights.of(tensors | {"critic.fc3.bias": np.array([np.nan])})


def test_weights_of_another_feature_schema_are_refused_by_its_name(trained: Weights) -> None:
    def with_schema(**changes: object) -> bytes:
        return msgspec.structs.replace(
            trained, schema=msgspec.structs.replace(REFERENCE_FEATURES, **changes)
        ).to_bytes()

    with pytest.raises(WeightsError, match="feature schema strike v3, this version computes reference v1"):
        Weights.from_bytes(with_schema(name="strike", version=3))
    renamed = ("returns_2m", *REFERENCE_FEATURES.names[1:])
    with pytest.raises(WeightsError, match="differ from schema reference in returns_1m, returns_2m"):
        Weights.from_bytes(with_schema(names=renamed))
    with pytest.raises(WeightsError, match="differ from schema reference in their order"):
        Weights.from_bytes(with_schema(names=REFERENCE_FEATURES.names[::-1]))


def test_untrained_weights_mostly_hold() -> None:
    features = np.zeros(18, np.float32)
    history = np.zeros((5, 18), np.float32)

    for seed in range(3):
        probabilities, _ = Policy(fresh_weights(seed)).evaluate(features, history)
        assert 0.85 < probabilities[Action.HOLD] < 0.99
        assert min(probabilities) > 0.005
