"""Where the program begins: the plain forms of the commands that somebody waits for, then the command line proper.

The command-line library takes longer to load than such a command takes. `restart NAME`, without options, gets by
without it; whatever is not plain (options, help, mistakes) is the library's to read and to explain.
"""

import gc
import sys
from collections.abc import Callable, Sequence

from cli.exit_codes import EXIT_FAILED, EXIT_INTERRUPTED, exit_code
from core.errors import FuseboxError

WAITED_FOR = frozenset(("restart", "add", "remove", "status", "halt", "resume", "flatten"))


def main() -> None:
    """Run a command; an error of ours is one line, anything else is a defect and keeps its traceback."""
    if sys.stdout is None or sys.stderr is None:
        from cli.closed_output import replace_missing  # noqa: PLC0415 -- rarely needed

        replace_missing()
    try:
        code = _done(sys.argv[1:])
    except OSError as error:
        from cli.closed_output import discard, reader_gone, unwritable  # noqa: PLC0415 -- rarely needed

        reason = None if isinstance(error, BrokenPipeError) else unwritable()
        if reason is not None:
            sys.stderr.write(f"fusebox: standard output cannot be written: {reason}\n")
        elif not isinstance(error, BrokenPipeError) or not reader_gone():
            raise  # it is about some other file or pipe
        discard()
        code = EXIT_FAILED
    sys.exit(code)


def _done(arguments: Sequence[str]) -> int | str | None:
    """Run a command, write out what it printed, and return its exit code."""
    if arguments and arguments[0] in WAITED_FOR:
        gc.disable()  # it is over before a collection of what it imports would pay
    try:
        code: int | str | None = quick(arguments)
        if code is None:
            from cli.main import main as command_line  # noqa: PLC0415 -- what the plain forms do without

            code = command_line(arguments)
    except FuseboxError as error:
        sys.stderr.write("".join(f"fusebox: {line}\n" for line in str(error).splitlines()))
        code = exit_code(error)
    except KeyboardInterrupt:
        code = EXIT_INTERRUPTED
    except SystemExit as end:
        code = end.code
    sys.stdout.flush()
    return code


def quick(arguments: Sequence[str]) -> int | None:  # noqa: PLR0911 -- one for each command
    """Carry out a plain command and return its exit code; None when this is none.

    Raises:
        FuseboxError: the command failed.
    """
    match arguments:
        case ["--version"] | ["-V"]:
            from cli.version import program_version  # noqa: PLC0415

            sys.stdout.write(f"fusebox {program_version()}\n")
            return 0
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
