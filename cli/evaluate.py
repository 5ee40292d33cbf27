"""`evaluate`: policies on windows that none of them was trained on, all on the same ones, and what each came to."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import track

from actors.execution_passive import REST_S
from cli.evaluate_report import as_json, as_tables
from cli.evaluation import Conditions, Evaluation, evaluated
from cli.judging import Judged, Judging, judge
from cli.policies import known_policy, known_training
from cli.recorded_stage import Recorded, recorded_stages
from cli.rollout import Terms
from cli.seeds import parse_seeds
from cli.simulated import TAKER_DELAY_MS, episode_of, known_world
from cli.stages import Shown
from cli.training_profile import Entry, Exit, terms_of
from cli.usage import UsageError
from cli.workers import Workers
from models.baselines import ORACLE
from venues.sim.world import ASSETS, VARIANTS

_WIDE = 160
SIMULATED_FILLS = "paper: the order walks the book that is there when it arrives, and what it takes stays taken"


def evaluate(
    policy: Annotated[list[str], typer.Option(help="A baseline's name, `shipped`, or a policy's file; repeat it.")],
    world: Annotated[str, typer.Option(help="World of the embedded exchange.")] = "today",
    seeds: Annotated[str, typer.Option(help="Seeds of the world: 901-960, or 7,9.")] = "901-960",
    windows: Annotated[int, typer.Option(help="Consecutive windows of each seed.", min=1, max=90)] = 1,
    window_s: Annotated[int, typer.Option(help="Length of a window, s.", min=10, max=900)] = 900,
    assets: Annotated[str, typer.Option(help="Tickers, comma-separated.")] = ",".join(ASSETS),
    exit: Annotated[Exit, typer.Option(help="When what is held is sold: 120 s before the close, or not.")] = "t-2",  # noqa: A002 -- the option's name
    entry: Annotated[Entry, typer.Option(help="Openings take the offer, or rest at the bid for 10 s.")] = "taker",
    size: Annotated[float, typer.Option(help="Trade size in USD.", min=1.0)] = 100.0,
    sample: Annotated[bool, typer.Option("--sample", help="Draw actions instead of taking the likeliest.")] = False,
    recordings: Annotated[Path | None, typer.Option(help="Judge on a recording instead of a world.")] = None,
    jobs: Annotated[int, typer.Option(help="Processes.", min=1, max=64)] = 2,
    out: Annotated[Path | None, typer.Option(help="Folder for evaluation.json, plots and evaluation.html.")] = None,
    output_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Judge policies on the same windows: PnL net of fees with its interval, and differences between them.

    Exit codes: 0 done, 1 failed, 2 bad usage.
    """
    terms = terms_of(size, exit, entry, sample=sample)
    names = [known_policy(each) for each in dict.fromkeys(policy)]
    if recordings is not None:
        trainings = [known_training(name, str(recordings), ()) for name in names]
        shown, conditions = _recorded(recordings, terms, names)
    else:
        tickers, asked = _tickers(assets), parse_seeds(seeds)
        known_world(world)
        trainings = [known_training(name, "", asked) for name in names]
        shown = [episode_of(world, seed, 0, window_s, tickers, windows) for seed in asked]
        conditions = _simulated(world, seeds, window_s, tickers, terms)
    judged = _judged([Judging(each, tuple(names), terms) for each in shown], jobs)
    result = evaluated(conditions, judged, names, trainings)
    _tell(result, judged, out, output_json=output_json)


def _judged(tasks: Sequence[Judging], jobs: int) -> list[Judged]:
    with Workers(min(jobs, len(tasks))) as workers:
        console = Console(stderr=True)
        done = workers.map(judge, tasks)
        return list(track(done, "windows", len(tasks), console=console, disable=not console.is_terminal))


def _tell(result: Evaluation, judged: Sequence[Judged], out: Path | None, *, output_json: bool) -> None:
    text = json.dumps(as_json(result), indent=2, sort_keys=True) + "\n"
    if output_json:
        sys.stdout.write(text)
    else:
        console = Console()
        (console if console.is_terminal else Console(width=_WIDE)).print(as_tables(result))
    if out is None:
        return
    from cli.evaluate_plots import draw  # noqa: PLC0415 -- the plotting library takes a second to load

    try:
        page = draw(result, judged, out)
        (out / "evaluation.json").write_text(text)
    except OSError as error:
        raise UsageError(f"--out {out}: {error.strerror}; give a folder that can be written") from error
    sys.stderr.write(f"{page}\n")


def _tickers(text: str) -> tuple[str, ...]:
    tickers = tuple(dict.fromkeys(each.strip().upper() for each in text.split(",")))
    unknown = [each for each in tickers if each not in ASSETS]
    if unknown:
        raise UsageError(f"--assets {','.join(unknown)}: no such asset; give some of {', '.join(ASSETS)}")
    return tickers


def _simulated(world: str, seeds: str, window_s: int, assets: tuple[str, ...], terms: Terms) -> Conditions:
    return _conditions(
        f"world {world}", seeds, window_s, assets, terms, VARIANTS[world].fee_rate, TAKER_DELAY_MS, SIMULATED_FILLS
    )


def _recorded(path: Path, terms: Terms, names: Sequence[str]) -> tuple[list[Shown], Conditions]:
    if ORACLE in names:
        raise UsageError(f"--policy {ORACLE}: only a simulated world knows the true value; leave it out")
    known = terms.exit_before_s is None  # what is sold before the close needs no winner
    stages = recorded_stages(str(path), known=known)
    first = stages[0]
    market = first.played[0]
    rule = "" if first.inference_rule is None else f", winners where {first.inference_rule}"
    conditions = _conditions(
        f"recording {path}{rule}",
        None,
        first.window_s,
        first.assets,
        terms,
        0.0 if market.fees is None else market.fees.rate,
        market.taker_delay_ms,
        first.fill_model,
    )
    return [Recorded(str(path), number, known) for number in range(len(stages))], conditions


def _conditions(
    source: str,
    seeds: str | None,
    window_s: int,
    assets: tuple[str, ...],
    terms: Terms,
    fee_rate: float,
    taker_delay_ms: int,
    fill_model: str,
) -> Conditions:
    settles = terms.exit_before_s is None
    return Conditions(
        source=source,
        seeds=seeds,
        assets=assets,
        window_s=window_s,
        trade_size_usd=terms.trade_size_usd / 1e6,
        fee_rate=fee_rate,
        latency_ms=terms.latency_ms,
        taker_delay_ms=taker_delay_ms,
        fill_model=fill_model,
        entry=f"passive (post-only at the bid for {REST_S:g} s)" if terms.passive else "taker (FAK)",
        exit="at settlement" if settles else f"{terms.exit_before_s:g} s before the close (at W = 900)",
        actions="drawn" if terms.sample else "the most probable",
    )
