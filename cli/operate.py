"""The commands that reach a running process from another shell: `restart`, `add`, `remove`, `status`."""

from typing import Annotated

import typer

from cli import remote
from cli.completion_names import actors, assets
from cli.remote import ANSWER_S, FRESH_S

Timeout = Annotated[float, typer.Option(help="Seconds to wait for the answer.", min=0.1)]
Asset = Annotated[str, typer.Argument(help="An asset, such as SOL.", show_default=False, autocompletion=assets)]


def restart(
    name: Annotated[
        str,
        typer.Argument(help="An asset (BTC) or an actor (executor).", show_default=False, autocompletion=actors),
    ],
    timeout: Timeout = ANSWER_S,
) -> None:
    """Replace an asset's actors, or one actor, in the running process; their state is kept.

    Exit codes: 0 done, 1 refused, 3 no process runs, 4 no answer in time.
    """
    remote.restart(name, timeout)


def add(asset: Asset, timeout: Timeout = ANSWER_S) -> None:
    """Start trading an asset in the running process, until that process ends.

    Exit codes: 0 done, 1 refused, 3 no process runs, 4 no answer in time.
    """
    remote.add(asset, timeout)


def remove(asset: Asset, timeout: Timeout = ANSWER_S) -> None:
    """Take an asset out of trading in the running process: what is held is sold, then its actors end.

    Exit codes: 0 begun, 1 refused, 3 no process runs, 4 no answer in time.
    """
    remote.remove(asset, timeout)


def status(
    output_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
    heartbeat: Annotated[
        bool, typer.Option("--heartbeat", help="Only judge the heartbeat file: exit 0 when fresh, 1 when not.")
    ] = False,
    max_age_s: Annotated[
        float, typer.Option(help="Age up to which a heartbeat is fresh, in seconds.", min=0.1)
    ] = FRESH_S,
    timeout: Timeout = ANSWER_S,
) -> None:
    """Show what runs: actors, assets, gate, positions, PnL, who holds the lease; or what the database knows.

    Exit codes: 0 a process runs, 3 none does (what is stored is shown), 4 it did not answer in time;
    with --heartbeat 0 fresh, 1 stale, missing or failed.
    """
    raise typer.Exit(remote.heartbeat(max_age_s) if heartbeat else remote.status(timeout, as_json=output_json))
