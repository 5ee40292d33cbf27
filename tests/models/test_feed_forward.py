"""The reference's older model decides as its tensors say, and cannot be taken for something that learns."""

from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest
import safetensors.numpy

from core.errors import FatalError, RejectedError
from core.market.features import REFERENCE_FEATURES
from models.baselines.feed_forward import FeedForward, is_feed_forward
from models.checkpoint import fresh_weights, load_weights
from models.ppo.state import TrainingState
from models.streams import INFERENCE
from models.weights import WeightsError
from tests.models.reference import FEED_FORWARD_WEIGHTS, WEIGHTS, needs_reference


def tensors() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    made = {}
    for network, outputs in (("actor", 3), ("critic", 1)):
        widths = (18, 128, 128, outputs)
        for number in (1, 2, 3):
            made[f"{network}.fc{number}.weight"] = rng.normal(0, 0.1, (widths[number], widths[number - 1]))
            made[f"{network}.fc{number}.bias"] = rng.normal(0, 0.1, widths[number])
    return {name: tensor.astype(np.float32) for name, tensor in made.items()}


def test_it_answers_as_its_layers_do_one_after_the_other() -> None:
    made, features = tensors(), np.linspace(-1, 1, 18).astype(np.float32)
    probabilities, value = FeedForward(made).evaluate(features)
    with INFERENCE.turn():
        answers = []
        for network in ("actor", "critic"):
            x = mx.array(features[None])
            for number in (1, 2, 3):
                x = x @ mx.array(made[f"{network}.fc{number}.weight"]).T + mx.array(made[f"{network}.fc{number}.bias"])
                x = mx.tanh(x) if number < 3 else x
            answers.append(x)
        expected, expected_value = np.array(mx.softmax(answers[0], axis=-1))[0], answers[1].item()
    np.testing.assert_allclose(probabilities, expected, atol=1e-6)
    assert value == pytest.approx(expected_value, abs=1e-5)
    assert FeedForward.schema == REFERENCE_FEATURES


@needs_reference
def test_the_references_file_is_loaded_by_its_names() -> None:
    probabilities, value = FeedForward.load(FEED_FORWARD_WEIGHTS).evaluate(np.zeros(18, np.float32))
    assert sum(probabilities) == pytest.approx(1.0)
    assert np.isfinite(value)
    assert is_feed_forward(safetensors.numpy.load_file(FEED_FORWARD_WEIGHTS))
    with pytest.raises(WeightsError, match=r"cannot learn.*`--policy`"):
        load_weights(FEED_FORWARD_WEIGHTS)
    with pytest.raises(WeightsError, match=r"not the reference's feed-forward model; .* not known: \['actor.ln1"):
        FeedForward.load(WEIGHTS)


def test_the_learner_refuses_it() -> None:
    with pytest.raises(WeightsError, match=r"a FeedForward cannot learn: .*`--policy`"):
        TrainingState.fresh(FeedForward(tensors()), 0)  # type: ignore[arg-type]  # that is the point


def test_what_is_not_that_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"none\.safetensors: cannot read the weights"):
        FeedForward.load(tmp_path / "none.safetensors")
    (tmp_path / "torn.safetensors").write_bytes(b"torn")
    with pytest.raises(WeightsError, match="not a whole safetensors file"):
        FeedForward.load(tmp_path / "torn.safetensors")
    with pytest.raises(WeightsError, match=r"critic.fc3.bias has shape \(2,\)"):
        FeedForward(tensors() | {"critic.fc3.bias": np.zeros(2, np.float32)})
    with pytest.raises(WeightsError, match=r"critic.fc3.bias holds a number that is not finite"):
        FeedForward(tensors() | {"critic.fc3.bias": np.array([np.inf], np.float32)})
    assert not is_feed_forward(fresh_weights(0).tensors)


def test_states_of_another_shape_and_answers_that_are_not_numbers_are_refused() -> None:
    model = FeedForward(tensors())
    with pytest.raises(RejectedError, match=r"\(18,\), got \(26,\)"):
        model.evaluate(np.zeros(26, np.float32))
    with pytest.raises(FatalError, match="gives logits"):
        model.evaluate(np.full(18, np.nan, np.float32))
