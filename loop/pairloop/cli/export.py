"""``pairloop export``."""

from pathlib import Path
from typing import Any

import click

from pairloop.cli.options import debug_option, dry_run_option, folder_argument, json_option


@click.command()
@folder_argument
@click.option("--votes", "what", flag_value="votes", help="Single votes instead of preferences.")
@click.option("--verdicts", "what", flag_value="verdicts", help="One line a pair with its probability.")
@click.option("--pairs", "what", flag_value="pairs", help="Pairs with all their votes, as the source jsonl reads them.")
@click.option(
    "--disagreements",
    "what",
    flag_value="disagreements",
    help="Pairs that people, gold or model disagree on, with votes.",
)
@click.option(
    "--format", "form", type=click.Choice(["jsonl", "csv", "parquet", "argilla", "trl"]), default="jsonl",
    show_default=True, help="trl: a folder for TRL and Hugging Face datasets, see docs/exports.md.",
)  # fmt: skip
@click.option(
    "--arm",
    "arms",
    multiple=True,
    type=click.Choice(["active", "fresh", "random", "holdout", "gold"]),
    help="Only pairs of this arm; may be given more than once.",
)
@click.option("--out", type=click.Path(path_type=Path), metavar="PATH", help="Instead of stdout; written whole.")
@click.option("--names/--pseudonyms", default=None, help="Who voted; by default names, in a trl folder pseudonyms.")
@click.option("--card", is_flag=True, help="Write a data card beside --out; a trl folder has one always.")
@click.option("--license", "license_name", metavar="ID", help="For the card: cc-by-4.0 …; by default data.license.")
@click.option("--chat", is_flag=True, help="trl: messages, also where prompts are plain texts.")
@click.option(
    "--margin", type=click.Choice(["share", "strength", "none"]), default="share", show_default=True,
    help="trl: share of votes for minus against, weighed by strength, or no such column.",
)  # fmt: skip
@click.option(
    "--files",
    type=click.Choice(["jsonl", "parquet"]),
    default="jsonl",
    show_default=True,
    help="trl: kind of the files.",
)
@json_option
@dry_run_option("Only count what would be exported.")
@debug_option
def export(folder: Path, form: str, out: Path | None, as_json: bool, dry_run: bool, **options: Any) -> None:
    """Write preferences, votes, verdicts, pairs or disagreements.

    Preferences have prompt, chosen and rejected, one row a pair by all its votes; a tie keeps its row and says
    "tie": true. Every row says which arm asked: rows of the arm "holdout" should not train anything that is to be
    measured on them, and those of the arm "gold" check annotators. Votes of excluded annotators are among votes and
    pairs, with a mark, and not in preferences and verdicts. CSV cells that a spreadsheet would take for a formula begin
    with an apostrophe. A folder for trl has splits instead, with --votes one row a vote: holdout votes are its test
    split, ties a data set of their own, and gold items are not in it.
    """
    from pairloop.cli.exporting import Request, gathered
    from pairloop.cli.opening import open_store
    from pairloop.cli.output import emit_bytes, emit_json, line
    from pairloop.errors import UsageError

    if as_json and out is None and not dry_run:
        raise UsageError("--json prints facts about an export, and stdout has its rows", "Add --out FILE.")
    request = Request(form=form, out=out, dry_run=dry_run, **options)
    request.check()
    with open_store(folder) as (store, config):
        made = gathered(store, config, request)
    if not dry_run and out is None:
        emit_bytes(made.data)
        return
    if not dry_run:
        made.write()
    facts = {**made.facts, "out": None if out is None else str(out), "written": not dry_run}
    if as_json:
        emit_json(facts)
    else:
        what = f"{facts['rows']} {facts['what']}"
        line(f"{'Would write' if dry_run else 'Wrote'} {what}" + (f" to {out}" if out else ""))
