"""The policy in a file: our weights, the reference's, its older model, or a training's checkpoint."""

from pathlib import Path

import safetensors

from actors.market import Policy
from cli.training_folder import CHECKPOINT, checkpoint_weights
from models.baselines.feed_forward import FeedForward, is_feed_forward
from models.checkpoint import load_weights
from models.plain import PlainPolicy
from models.weights import WeightsError

CHECKPOINT_SUFFIX = Path(CHECKPOINT).suffix


def policy_in(path: Path) -> Policy:
    """Return the policy in a file, to be asked one state at a time.

    Raises:
        WeightsError: the file is missing, damaged, or of another network or feature schema.
    """
    if not path.is_file():
        raise WeightsError(f"{path}: no such file")
    if path.suffix == CHECKPOINT_SUFFIX:
        return PlainPolicy(checkpoint_weights(path))
    try:
        with safetensors.safe_open(path, "np") as file:
            names = dict.fromkeys(file.keys())
    except safetensors.SafetensorError as error:
        raise WeightsError(f"{path}: not a whole safetensors file ({error})") from error
    return FeedForward.load(path) if is_feed_forward(names) else PlainPolicy(load_weights(path))
