"""Where the program begins: the plain forms of the commands that somebody waits for, then the command line proper.

The command-line library takes longer to load than such a command takes. `restart NAME`, without options, gets by
without it; whatever is not plain (options, help, mistakes) is the library's to read and to explain.
"""

import gc
import sys
from collections.abc import Callable, Sequence

from cli.exit_codes import exit_code
from core.errors import FuseboxError

WAITED_FOR = frozenset(("restart", "add", "remove", "status", "halt", "resume", "flatten"))


def main() -> None:
    """Run a command; an error of ours is one line, anything else is a defect and keeps its traceback."""
    arguments = sys.argv[1:]
    if arguments and arguments[0] in WAITED_FOR:
        gc.disable()  # it is over before a collection of what it imports would pay
    try:
        code = quick(arguments)
    except FuseboxError as error:
        sys.stderr.write(f"fusebox: {error}\n")
        sys.exit(exit_code(error))
    except KeyboardInterrupt:
        sys.exit(0)
    if code is not None:
        sys.exit(code)
    from cli.main import main as command_line  # noqa: PLC0415 -- what the plain forms do without

    command_line()


def quick(arguments: Sequence[str]) -> int | None:
    """Carry out a plain command and return its exit code; None when this is none.

    Raises:
        FuseboxError: the command failed.
    """
    match arguments:
        case ["restart" | "add" | "remove" as command, name] if name and not name.startswith("-"):
            from cli import remote  # noqa: PLC0415 -- `run` loads other things first

            does: dict[str, Callable[[str], None]] = {
                "restart": remote.restart,
                "add": remote.add,
                "remove": remote.remove,
            }
            does[command](name)
            return 0
        case ["halt"] | ["halt", "--reason", _]:
            from cli import gate_remote  # noqa: PLC0415

            return gate_remote.halt("".join(arguments[2:]))
        case ["resume", "--reason", reason]:
            from cli import gate_remote  # noqa: PLC0415

            return gate_remote.resume(reason)
        case ["flatten"]:
            from cli import gate_remote  # noqa: PLC0415

            return gate_remote.flatten("")
        case ["flatten", asset] if asset and not asset.startswith("-"):
            from cli import gate_remote  # noqa: PLC0415

            return gate_remote.flatten(asset)
        case ["status"] | ["status", "--json"]:
            from cli import remote  # noqa: PLC0415

            return remote.status(as_json="--json" in arguments)
        case ["status", "--heartbeat"]:
            from cli import remote  # noqa: PLC0415

            return remote.heartbeat()
        case _:
            return None
