"""`doctor`: looks at everything that a run depends on, and says of each what was found and what to do about it."""

import json
import sys
import time
from collections.abc import Sequence
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from cli.alerting import scrubber_of
from cli.config_commands import given_layers, usable
from cli.doctor_account import account_lines, key_lines
from cli.doctor_database import database_lines
from cli.doctor_host import host_lines
from cli.doctor_line import Line, note, problem
from cli.doctor_settings import limit_lines, policy_lines, settings_lines, watching_lines
from cli.doctor_venues import unchecked_lines, venue_lines
from cli.exit_codes import EXIT_FAILED
from cli.live_venues import public_endpoints
from cli.status_view import console
from config.load import ConfigError
from config.settings import PROJECT_ROOT, Settings
from venues.polymarket.credentials import Wallet

STYLES = {"ok": "green", "note": "yellow", "problem": "bold red"}


def doctor(
    profile: Annotated[str | None, typer.Option(help="As `run --profile` would.", show_default=False)] = None,
    mode: Annotated[str | None, typer.Option(help="As `run --mode` would.", show_default=False)] = None,
    offline: Annotated[bool, typer.Option("--offline", help="Ask no venue.")] = False,
    output_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Check host, database, venues, keys, limits and all else a run depends on; say what to do about it.

    Starts nothing and sends no order; asks only the URLs of the settings. Exit codes: 0 no problem, 1 at least one.
    """
    lines = examined(profile, mode, offline=offline)
    if output_json:
        plain = [msgspec.to_builtins(line) for line in lines]
        sys.stdout.write(json.dumps({"ok": not _problems(lines), "checks": plain}, indent=2) + "\n")
    else:
        _print(lines, console())
    raise typer.Exit(EXIT_FAILED if _problems(lines) else 0)


def examined(profile: str | None, mode: str | None, *, offline: bool = False) -> list[Line]:
    """Return every finding, in the order in which a start would stumble over it; no secret is in any."""
    env_file = PROJECT_ROOT / ".env"
    try:
        layers = given_layers(profile, mode)
    except ConfigError as error:
        text, _, remedy = str(error).rpartition(": ")
        return [problem("settings", text, remedy)]
    settings, problems, layers = usable(layers)
    hidden = scrubber_of(settings)
    lines = [*settings_lines(settings, problems, layers, env_file), *host_lines(settings.state_dir)]
    lines += database_lines(settings)
    keys, wallet = key_lines(settings)
    lines += keys
    lines += _venues(settings, wallet, offline=offline)
    lines += limit_lines(settings)
    broken = any(line.topic == "mlx" and line.level == "problem" for line in lines)
    lines += [note("policy", "not checked: MLX does not work")] if broken else policy_lines(settings)
    lines += watching_lines(settings)
    return [Line(line.topic, line.level, hidden(line.found), hidden(line.remedy)) for line in lines]


def _venues(settings: Settings, wallet: Wallet | None, *, offline: bool) -> list[Line]:
    if settings.profile != "real":
        return unchecked_lines(settings)
    if offline:
        return [note("venues", "not checked: --offline")]
    try:
        endpoints = public_endpoints(settings)
    except ConfigError as error:
        text, _, remedy = str(error).rpartition(": ")
        return [problem("venues", text, remedy)]
    lines = venue_lines(settings, endpoints, _now_ms)
    return lines if wallet is None else lines + account_lines(settings, wallet, endpoints, _now_ms)


def _problems(lines: Sequence[Line]) -> int:
    return sum(line.level == "problem" for line in lines)


def _print(lines: Sequence[Line], screen: Console) -> None:
    """Print a finding a line; on a terminal in columns that wrap."""
    if not screen.is_terminal:
        for line in lines:
            sys.stdout.write(
                f"{line.level:<8} {line.topic}: {line.found}{f' -> {line.remedy}' if line.remedy else ''}\n"
            )
    else:
        table = Table.grid(padding=(0, 2))
        for line in lines:
            found = Text(line.found)
            if line.remedy:
                found.append(f"\n→ {line.remedy}", style="bold")
            table.add_row(Text(line.level, style=STYLES[line.level]), line.topic, found)
        screen.print(table)
    counted = _problems(lines)
    notes = sum(line.level == "note" for line in lines)
    sys.stdout.write(
        f"{counted or 'no'} problem{'' if counted == 1 else 's'}, {notes or 'no'} note{'' if notes == 1 else 's'}\n"
    )


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
