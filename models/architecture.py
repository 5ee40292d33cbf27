"""The shape of the networks: names and sizes of every tensor, as the reference's weight files spell them."""

from core.market.features import HISTORY_STATES

ENCODER_HIDDEN = 64
ENCODER_OUTPUT = 32
ACTIONS = 3
NETWORKS = {"actor": (64, ACTIONS), "critic": (96, 1)}
"""Hidden width and outputs of each network; both have a temporal encoder of their own."""

LAYER_NORM_EPSILON = 1e-5


def tensor_shapes(features: int) -> dict[str, tuple[int, ...]]:
    """Return the shape of each tensor by name, for states of `features` numbers; a weight is (outputs, inputs)."""
    shapes: dict[str, tuple[int, ...]] = {}
    for network, (hidden, outputs) in NETWORKS.items():
        encoder = f"{network}.temporal_encoder"
        _layer(shapes, encoder, 1, HISTORY_STATES * features, ENCODER_HIDDEN)
        _layer(shapes, encoder, 2, ENCODER_HIDDEN, ENCODER_OUTPUT)
        _layer(shapes, network, 1, features + ENCODER_OUTPUT, hidden)
        _layer(shapes, network, 2, hidden, hidden)
        shapes[f"{network}.fc3.weight"] = (outputs, hidden)
        shapes[f"{network}.fc3.bias"] = (outputs,)
    return shapes


def _layer(shapes: dict[str, tuple[int, ...]], prefix: str, number: int, inputs: int, outputs: int) -> None:
    shapes[f"{prefix}.fc{number}.weight"] = (outputs, inputs)
    for name in ("fc{}.bias", "ln{}.weight", "ln{}.bias"):
        shapes[f"{prefix}.{name.format(number)}"] = (outputs,)
