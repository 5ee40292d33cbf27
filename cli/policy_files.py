"""The policy in a file: our weights, the reference's, its older model, a training's or an exported checkpoint."""

from pathlib import Path

import safetensors

from actors.market import Policy
from cli.training_folder import CHECKPOINT, checkpoint_weights
from models.baselines.feed_forward import FeedForward, is_feed_forward
from models.checkpoint import load_weights, read_model
from models.plain import PlainPolicy
from models.weights import Weights, WeightsError
from storage.checkpoints import MAGIC, read_file

CHECKPOINT_SUFFIX = Path(CHECKPOINT).suffix
SHIPPED_FILE = Path(__file__).resolve().parents[1] / "models" / "shipped" / "policy.safetensors"


def policy_in(path: Path) -> Policy:
    """Return the policy in a file, to be asked one state at a time.

    Raises:
        WeightsError: the file is missing, damaged, or of another network or feature schema.
    """
    if not path.is_file():
        raise WeightsError(f"{path}: no such file")
    if path.suffix == CHECKPOINT_SUFFIX:
        return PlainPolicy(checkpoint_weights(path))
    with path.open("rb") as file:
        if file.read(len(MAGIC)) == MAGIC:
            return PlainPolicy(_exported(path))
    try:
        with safetensors.safe_open(path, "np") as tensors:
            names = dict.fromkeys(tensors.keys())
    except safetensors.SafetensorError as error:
        raise WeightsError(f"{path}: not a whole safetensors file ({error})") from error
    return FeedForward.load(path) if is_feed_forward(names) else PlainPolicy(load_weights(path))


def _exported(path: Path) -> Weights:
    """Return the weights in a file that `checkpoints export` has written."""
    header, payload = read_file(path)
    if header.kind != "model":
        raise WeightsError(f"{path} is the checkpoint of {header.name}, no model's: export a model's")
    return read_model(header.schema_version, payload)[0]
