"""`halt`, `resume` and `flatten`: the operator's hand on the gate, which outlasts the process."""

from typing import Annotated

import typer

from cli import gate_remote
from cli.completion_names import assets
from cli.gate_remote import ANSWER_S

Timeout = Annotated[float, typer.Option(help="Seconds to wait for the answer.", min=0.1)]
Json = Annotated[bool, typer.Option("--json", help="Print the answer as JSON.")]


def halt(
    reason: Annotated[str, typer.Option(help="Why; shown with the hold and recorded.")] = "",
    timeout: Timeout = ANSWER_S,
    output_json: Json = False,
) -> None:
    """Close the gate: nothing is opened, nothing is sold, what rests is cancelled. Lasts until `resume`.

    Exit codes: 0 closed, 3 no process trades (the next start is closed), 4 no answer in time (stored nevertheless).
    """
    raise typer.Exit(gate_remote.halt(reason, timeout, as_json=output_json))


def resume(
    reason: Annotated[str, typer.Option(help="Why it may go on; recorded.", show_default=False)],
    timeout: Timeout = ANSWER_S,
    output_json: Json = False,
) -> None:
    """Lift what only a person lifts, and show what it was. Holds that end with their cause remain and are named.

    Exit codes: 0 done, 1 refused or nothing to lift, 3 no process trades (the next start is not held), 4 no answer in
    time (nothing was lifted).
    """
    raise typer.Exit(gate_remote.resume(reason, timeout, as_json=output_json))


def flatten(
    asset: Annotated[
        str,
        typer.Argument(help="An asset, such as BTC; all without it.", show_default=False, autocompletion=assets),
    ] = "",
    timeout: Timeout = ANSWER_S,
    output_json: Json = False,
) -> None:
    """Sell what is held, in one asset or in all, and open nothing there until `resume`. Makes a halt reduce-only there.

    Exit codes: 0 begun, 1 refused, 3 no process trades (the next start does it), 4 no answer in time (stored
    nevertheless).
    """
    raise typer.Exit(gate_remote.flatten(asset, timeout, as_json=output_json))
