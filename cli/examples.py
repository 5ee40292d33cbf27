"""Examples of each command, for its help and for docs/command-line.md."""

from typing import NamedTuple


class Example(NamedTuple):
    """What follows the program's name, and what it is good for."""

    line: str
    purpose: str


EXAMPLES: dict[str, tuple[Example, ...]] = {
    "run": (
        Example("run", "the demo: paper money on the embedded exchange"),
        Example("run --world today --assets BTC,ETH", "two assets, as hard as the real market"),
        Example("run --profile real --mode paper", "the public venues, without keys and without orders"),
        Example("run --new-session --no-wait", "begin anew; refuse at once if another process trades"),
    ),
    "replay": (
        Example("replay recordings/clob-books-15m", "what the orders would have come to"),
        Example("replay recordings/clob-books-15m --weights policy.safetensors --size 50 --json", "as JSON"),
    ),
    "train": (
        Example("train --world lagged,today --windows 20000 --out runs/first", "a policy on both worlds"),
        Example("train --resume --out runs/first", "go on where it stopped"),
    ),
    "evaluate": (
        Example("evaluate --policy shipped --policy fair-value", "two policies on the same 60 windows"),
        Example("evaluate --policy shipped --world lagged --seeds 901-910 --out reports/shipped", "with plots"),
    ),
    "status": (
        Example("status", "what runs, or what was left"),
        Example("status --json", "for programs; the fields are in docs/operating.md"),
        Example("status --heartbeat", "for a host's health check: exit code 0 while fresh"),
    ),
    "restart": (
        Example("restart BTC", "the market actor and both feeds of an asset"),
        Example("restart executor", "one actor"),
    ),
    "add": (Example("add SOL", "trade SOL too, until the process ends"),),
    "remove": (Example("remove ETH", "sell what is held in ETH, then leave it"),),
    "halt": (
        Example("halt", "close the gate, across restarts"),
        Example('halt --reason "looking at fills" --json', "with a reason that is recorded"),
    ),
    "resume": (Example('resume --reason "the fills are right"', "lift what only a person lifts"),),
    "flatten": (
        Example("flatten", "sell everything, open nothing until `resume`"),
        Example("flatten BTC", "one asset only"),
    ),
    "report": (
        Example("report", "the newest session"),
        Example("report --since 24h --out reports/today", "a day, with plots on one page"),
        Example("report --session 3 --json", "for programs"),
    ),
    "trace": (Example("trace 1.BTC.1776727801000.3.42.7", "the story of one trade; `report` lists their ids"),),
    "checkpoints list": (Example("checkpoints list", "every generation, newest first"),),
    "checkpoints show": (Example("checkpoints show portfolio", "the newest session's; with its content"),),
    "checkpoints export": (Example("checkpoints export shipped weights.checkpoint", "a model's weights to a file"),),
    "checkpoints import": (Example("checkpoints import shipped weights.checkpoint", "as the newest generation"),),
    "checkpoints rollback": (
        Example("checkpoints rollback shipped", "the generation before becomes the newest"),
        Example("checkpoints rollback market.BTC --generation 2", "a certain one"),
    ),
    "migrate": (
        Example("migrate", "apply what this release needs and the database does not have"),
        Example("migrate --status", "list what is applied and what waits; changes nothing"),
        Example("migrate --to 0003 --yes", "back to version 0003, without asking"),
    ),
    "doctor": (
        Example("doctor", "check this host, the database, the venues and the settings"),
        Example("doctor --profile real --mode live --json", "before live trading, for programs"),
    ),
    "config show": (
        Example("config show", "every setting with its value, unit and source"),
        Example("config show --changed", "only what differs from the defaults"),
        Example("config show --profile real --json", "what the real profile would run with"),
    ),
    "config check": (Example("config check", "exit code 2 and a line for each setting that cannot be used"),),
    "dashboard": (Example("dashboard", "serve the web page"),),
}
"""By the command's path below the program."""
