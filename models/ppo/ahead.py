"""Compiles PPO's gradient step in a process of its own: `python -m models.ppo.ahead`, a profile as JSON on its input.

MLX holds a lock while the system's compiler runs, and no thread of that process can use a compiled function meanwhile:
a trader that learns would make no decision for seconds. What is compiled here lies in the host's temporary folder,
where the trader finds it. Ends with its parent.
"""

import os
import sys
import threading

import msgspec

from core.market.features import SCHEMAS
from models.checkpoint import fresh_weights
from models.ppo.hyper import Hyperparameters
from models.ppo.state import TrainingState
from models.ppo.update import warm_up

NICENESS = 10
"""It must not take the processor from who trades."""


class Order(msgspec.Struct, frozen=True):
    """What to compile for: hyperparameters are constants of the compiled step; `features` names the schema by size."""

    hyper: Hyperparameters
    features: int


def main() -> None:
    """Read one line, compile, exit 0; exit 1 when standard input ends before that, or with the last words of an error.

    The process ends without Python's own end: its other thread waits for input, and the library may abort.
    """
    line = sys.stdin.buffer.readline()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    os.nice(NICENESS)
    try:
        order = msgspec.json.decode(line, type=Order)
        schemas = {schema.size: schema for schema in SCHEMAS.values()}
        warm_up(TrainingState.fresh(fresh_weights(0, schemas[order.features]), 0), order.hyper)
    except BaseException as error:  # noqa: BLE001 -- whatever it is, the parent logs it
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        sys.stderr.flush()
        os._exit(1)
    os._exit(0)


def _end_with_parent() -> None:
    sys.stdin.buffer.read()
    os._exit(1)


if __name__ == "__main__":
    main()
