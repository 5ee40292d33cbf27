"""Hyperparameters are the reference's unless told otherwise, and none is out of range."""

import math

import msgspec
import pytest

from models.ppo.hyper import HyperparameterError, Hyperparameters


@pytest.mark.parametrize(
    ("field", "value"),
    [("lr_actor", -1e-4), ("gamma", 1.01), ("lam", math.nan), ("clip", 0.0), ("epochs", 0), ("min_entropy", 2.0)],
)
def test_what_is_out_of_range_is_refused_with_its_range(field: str, value: float) -> None:
    with pytest.raises(HyperparameterError, match=rf"{field} is {value}: give a value from \S+ to \S+"):
        Hyperparameters(**{field: value})  # type: ignore[arg-type]  # the field varies


def test_a_minibatch_is_no_larger_than_the_buffer() -> None:
    with pytest.raises(HyperparameterError, match="batch is 512, more than the buffer of 256"):
        Hyperparameters(batch=512)


def test_a_misspelt_field_of_a_profile_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError, match="lr_actr"):
        msgspec.convert({"lr_actr": 1.0}, Hyperparameters)


def test_the_entropy_bonus_falls_to_its_end_and_stays_there() -> None:
    hyper = Hyperparameters(entropy=0.04, entropy_end=0.01, entropy_updates=100)
    assert [hyper.entropy_at(update) for update in (0, 50, 100, 1000)] == pytest.approx([0.04, 0.025, 0.01, 0.01])
    assert Hyperparameters(entropy_end=0.5).entropy_at(10**6) == 0.03
