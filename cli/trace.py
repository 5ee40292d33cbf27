"""`trace`: one trade's story from the database, from the decision to the settlement."""

import json
import sys
from typing import Annotated

import typer

from cli.client import client_settings, stored
from cli.completion_names import trades
from cli.grid import as_group
from cli.status_view import console
from cli.trace_view import as_json, grids, lines
from cli.usage import UsageError
from core.records import TradeRecord
from storage.pool import Connection
from storage.trace_rows import story, trades_called

NAMED = 5


def trace(
    trade_id: Annotated[
        str,
        typer.Argument(
            help="A trade's id, or how it begins; `report` lists the worst and the last.",
            show_default=False,
            autocompletion=trades,
        ),
    ],
    output_json: Annotated[bool, typer.Option("--json", help="Print the story as JSON.")] = False,
) -> None:
    """Tell one trade's story: market, decision, orders, fills, exit steps, settlement, what failed meanwhile.

    Exit codes: 0 done, 1 failed, 2 no such trade, or several that begin so, 3 nothing was ever stored.
    """
    with stored(client_settings()) as connection:
        told = story(connection, named(connection, trade_id))
    if output_json:
        sys.stdout.write(json.dumps(as_json(told), indent=2) + "\n")
        return
    console().print(as_group(lines(told), grids(told)))


def named(connection: Connection, trade_id: str) -> TradeRecord:
    """Return the trade that is called so, or that alone begins so.

    Raises:
        UsageError: there is none, or there are several.
        TransientError, FatalError: as every query does.
    """
    found = trades_called(connection, trade_id, NAMED + 1)
    if len(found) == 1:
        return found[0]
    if found:
        begin_so = ", ".join(each.id for each in found[:NAMED]) + (", ..." if len(found) > NAMED else "")
        raise UsageError(f"{trade_id} is how several trades begin: {begin_so}")
    newest = ", ".join(each.id for each in trades_called(connection, "", NAMED))
    known = f"the newest are {newest}" if newest else "no position was closed yet"
    raise UsageError(f"there is no trade {trade_id!r}: {known}")
