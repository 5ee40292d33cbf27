"""Learning goes on from what was stored as if it had never stopped, and refuses what belongs to something else."""

import msgspec
import pytest

from core.market.features import REFERENCE_FEATURES
from models.checkpoint import MODEL, fresh_weights, model_payload, read_model
from models.ppo.hyper import Hyperparameters
from models.ppo.state import TrainingState
from models.ppo.trajectory import Trajectories
from models.ppo.update import update
from models.weights import Weights, WeightsError
from tests.learning.made import SIZE, lively_weights, segment, step

HYPER = Hyperparameters(epochs=2, target_kl=10.0)


def learnt(updates: int = 2) -> TrainingState:
    state = TrainingState.fresh(lively_weights(), 7, source="rl_model.safetensors")
    for number in range(updates):
        state, _ = update(state, [segment(state.weights, number)], HYPER)
    return state


def bits(state: TrainingState) -> tuple[bytes, bytes]:
    return state.weights.to_bytes(), state.to_bytes()


def test_a_stored_state_goes_on_bit_equal() -> None:
    state = learnt()
    payload = model_payload(state.weights, source=state.source, training=state.to_bytes(), buffer=b"rest")
    weights, stored = read_model(MODEL.version, payload)
    assert stored.training is not None
    assert stored.buffer == b"rest"
    loaded = TrainingState.from_bytes(stored.training, weights)
    assert bits(loaded) == bits(state)

    following = [segment(state.weights, 9, 130)]
    assert bits(update(loaded, following, HYPER)[0]) == bits(update(state, following, HYPER)[0])


def test_a_state_tells_where_it_comes_from() -> None:
    first, second = learnt(1), learnt(2)
    assert (second.source, second.version, second.updates) == ("update 2", 2, 2)
    assert second.parent_sha256 is not None
    assert second.parent_sha256 != first.parent_sha256
    assert first.hyper == HYPER


def test_the_shuffling_follows_the_seed() -> None:
    one, other = (
        update(TrainingState.fresh(lively_weights(), seed), [segment(lively_weights())], HYPER)[0] for seed in (1, 2)
    )
    assert one.weights.to_bytes() != other.weights.to_bytes()


def test_a_checkpoint_from_before_there_was_a_learner_is_read() -> None:
    weights = fresh_weights(1)
    newer = msgspec.msgpack.decode(model_payload(weights, source="older"))
    older = msgspec.msgpack.encode({name: newer[name] for name in newer if name not in {"training", "buffer"}})
    read, state = read_model(1, older)
    assert read.to_bytes() == weights.to_bytes()
    assert (state.source, state.training, state.buffer) == ("older", None, None)


def test_a_training_state_of_other_weights_is_refused() -> None:
    state = learnt(1)
    with pytest.raises(WeightsError, match=r"of update 1 belongs to weights \w{12}, not to these of version 0"):
        TrainingState.from_bytes(state.to_bytes(), lively_weights())


def test_a_training_state_of_another_feature_schema_is_refused_by_the_difference() -> None:
    data = msgspec.msgpack.decode(learnt(0).to_bytes())
    data["schema"]["name"] = "strike"
    data["schema"]["names"] = ["gap", *REFERENCE_FEATURES.names[1:]]
    with pytest.raises(WeightsError, match=r"schema strike v1, the weights of reference v1; they differ in gap, ret"):
        TrainingState.from_bytes(msgspec.msgpack.encode(data), lively_weights())


def test_a_training_state_of_other_shapes_is_refused_by_the_difference() -> None:
    data = msgspec.msgpack.decode(learnt(0).to_bytes())
    data["means"]["critic"] = data["means"]["critic"][:-8]
    with pytest.raises(WeightsError, match=r"the moments of the critic are \d+ numbers, the network has \d+"):
        TrainingState.from_bytes(msgspec.msgpack.encode(data), lively_weights())
    with pytest.raises(WeightsError, match="the training state cannot be read"):
        TrainingState.from_bytes(b"nothing", lively_weights())


def test_what_is_not_weights_cannot_learn() -> None:
    with pytest.raises(WeightsError, match=r"a str cannot learn: .*`--policy`"):
        TrainingState.fresh("feed-forward", 0)  # type: ignore[arg-type]  # that is the point


def test_weights_after_an_update_keep_the_references_names_and_statistics() -> None:
    state = learnt(1)
    again = Weights.from_bytes(state.weights.to_bytes())
    assert again.tensors.keys() == lively_weights().tensors.keys()
    assert (again.version, again.stats.reward_count, again.stats.gamma) == (1, 256, HYPER.gamma)


def test_the_buffer_travels_with_the_checkpoint() -> None:
    trajectories = Trajectories(SIZE)
    trajectories.add(("BTC", "0x1"), step(1), done=False)
    payload = model_payload(fresh_weights(0), source="x", buffer=trajectories.dump())
    _, state = read_model(MODEL.version, payload)
    assert state.buffer is not None
    assert Trajectories.load(state.buffer).dump() == trajectories.dump()
