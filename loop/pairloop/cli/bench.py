"""``pairloop bench``."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from pairloop.cli.options import debug_option, dry_run_option, json_option
from pairloop.errors import UsageError

if TYPE_CHECKING:
    from pairloop.bench.gate import Verdict

EXIT_REGRESSION = 5


@click.command()
@click.argument("plan_file", metavar="PLAN.toml", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), metavar="FOLDER", help="By default bench-NAME."
)
@click.option("--workers", type=click.IntRange(min=1), help="Processes; instead of the plan's.")
@click.option("--seeds", type=click.IntRange(min=1), help="Paired seeds; instead of the plan's.")
@click.option(
    "--data", "paths", multiple=True, metavar="NAME=PATH", help="Data file of the plan's data NAME; repeatable."
)
@click.option("--baseline", type=click.Path(path_type=Path, dir_okay=False), metavar="OLD.json", help="Older result.")
@click.option("--fail-if", "conditions", multiple=True, metavar="CONDITION", help="Such as accuracy<0.7; repeatable.")
@json_option
@dry_run_option("Only list the cells and which of them are finished.")
@debug_option
def bench(
    plan_file: Path,
    out: Path | None,
    workers: int | None,
    seeds: int | None,
    paths: tuple[str, ...],
    baseline: Path | None,
    conditions: tuple[str, ...],
    as_json: bool,
    dry_run: bool,
) -> None:
    """Compare strategies, models and annotators.

    Every cell of PLAN.toml is a whole campaign on simulated or replayed votes, measured on held-out groups. Finished
    cells are kept: an interrupted benchmark goes on where it stopped. Writes NAME.json, NAME.md, NAME.xml (JUnit) and
    NAME.svg into the folder.

    A condition fails the run (exit code 5) only if its whole 95 % interval lies on the failing side: accuracy<0.7,
    logdet:saved<0, or against --baseline area.drop>0.01, log_loss.rise>0.02.
    """
    from pairloop.bench.gate import judge, parse
    from pairloop.bench.output import document, markdown, write_all
    from pairloop.bench.plan import load_plan
    from pairloop.bench.results import read_blocks
    from pairloop.bench.runner import pending, run_plan
    from pairloop.bench.summary import block_json, summarise
    from pairloop.cli.output import emit_json, line
    from pairloop.cli.progress import Bar, watched

    plan = load_plan(plan_file, dict(_named(text) for text in paths))
    changes = {key: value for key, value in (("workers", workers), ("seeds", seeds)) if value is not None}
    plan = plan.model_copy(update={"bench": plan.bench.model_copy(update=changes)})
    parsed = [parse(text) for text in conditions]
    old = None if baseline is None else read_blocks(baseline)
    target = out or plan_file.parent / f"bench-{plan.bench.name}"
    if dry_run:
        _list(pending(plan, target), as_json)
        return
    results = run_plan(plan, target, Bar(visible=watched() and not as_json))
    blocks = [block_json(block) for block in summarise(plan, results)]
    verdicts = judge(parsed, blocks, old)
    written = write_all(target, plan.bench.name, blocks, verdicts)
    if as_json:
        emit_json(document(plan.bench.name, blocks, verdicts))
    else:
        line(markdown(plan.bench.name, blocks, verdicts))
        line("Wrote " + ", ".join(str(path) for path in written))
    _end(verdicts)


def _named(text: str) -> tuple[str, Path]:
    name, equals, path = text.partition("=")
    if not (name and equals and path):
        raise UsageError(f"--data {text!r} cannot be read", "Write NAME=PATH, with a name of the plan's [[data]].")
    return name, Path(path)


def _list(cells: list[tuple[str, bool]], as_json: bool) -> None:
    from pairloop.cli.output import emit_json, line

    if as_json:
        emit_json({"cells": [{"cell": label, "finished": finished} for label, finished in cells]})
        return
    for label, finished in cells:
        line(f"{'finished' if finished else 'to run  '} {label}")


def _end(verdicts: "list[Verdict]") -> None:
    if any(verdict.failed for verdict in verdicts):
        raise click.exceptions.Exit(EXIT_REGRESSION)
