"""Are limits, exits and the gate kept: at every step of simulated windows, and with live orders?

    python -m bench.safety windows --windows 10000 --seed 1
    python -m bench.safety windows --windows 2000 --limits tight
    python -m bench.safety windows --one 17 --trace events.log
    python -m bench.safety virtual --windows 400
    python -m bench.safety live --minutes 60
    python -m bench.safety look STATE_DIR       what is found in what such a run has left

Exit code 1 when a promise was broken.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bench.safety.live import look_at, run_live
from bench.safety.many_windows import one_seed, run_windows
from bench.safety.virtual_live import run_virtual


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the arguments ask for and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.safety", description=(__doc__ or "").split("\n")[0])
    kinds = parser.add_subparsers(dest="kind", required=True)
    windows = kinds.add_parser("windows", help="simulated windows under faults, with dice for a policy")
    windows.add_argument("--windows", type=int, default=1_000, help="of all assets together")
    windows.add_argument("--seed", type=int, default=1, help="of the first run of twenty windows")
    windows.add_argument("--limits", choices=("default", "tight"), default="default")
    windows.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes")
    windows.add_argument("--one", type=int, metavar="SEED", help="one seed alone")
    windows.add_argument("--trace", type=Path, metavar="FILE", help="with --one: write the event log")
    virtual = kinds.add_parser("virtual", help="live orders on the exchange under its faults, in virtual time")
    virtual.add_argument("--windows", type=int, default=400, help="of four assets together")
    virtual.add_argument("--seed", type=int, default=1, help="of the first of three runs, one for each order type")
    virtual.add_argument("--limits", choices=("default", "tight"), default="default")
    virtual.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes")
    live = kinds.add_parser("live", help="live trading on the embedded exchange, as processes")
    live.add_argument("--minutes", type=float, default=60.0)
    live.add_argument("--seed", type=int, default=1)
    live.add_argument("--state-dir", type=Path, help="kept; a folder of its own otherwise, removed when all is well")
    look = kinds.add_parser("look", help="judge what a live run has left")
    look.add_argument("state_dir", type=Path)
    options = parser.parse_args(arguments)
    if options.kind == "windows":
        if options.one is not None:
            return one_seed(options.one, options.limits, options.trace)
        return run_windows(options.windows, options.seed, options.limits, options.jobs)
    if options.kind == "virtual":
        return run_virtual(options.windows, options.seed, options.limits, options.jobs)
    if options.kind == "look":
        return look_at(options.state_dir)
    kept = options.state_dir is not None
    state_dir = options.state_dir or Path(tempfile.mkdtemp(prefix="fusebox-safety-"))
    return run_live(options.minutes, options.seed, state_dir, keep=kept)


if __name__ == "__main__":
    sys.exit(main())
