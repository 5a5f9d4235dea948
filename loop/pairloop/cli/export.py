"""``pairloop export``."""

from pathlib import Path

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
@click.option("--format", "form", type=click.Choice(["jsonl", "csv"]), default="jsonl", show_default=True)
@click.option(
    "--arm",
    "arms",
    multiple=True,
    type=click.Choice(["active", "fresh", "random", "holdout", "gold"]),
    help="Only pairs of this arm; may be given more than once.",
)
@click.option("--out", type=click.Path(path_type=Path), metavar="FILE", help="Instead of stdout; written whole.")
@json_option
@dry_run_option("Only count what would be exported.")
@debug_option
def export(
    folder: Path, what: str | None, form: str, arms: tuple[str, ...], out: Path | None, as_json: bool, dry_run: bool
) -> None:
    """Write preferences, votes, verdicts or disagreements.

    Preferences have prompt, chosen and rejected, one row a pair by all its votes; a tie keeps its row and says
    "tie": true. Every row says which arm asked: rows of the arm "holdout" should not train anything that is to be
    measured on them, and those of the arm "gold" check annotators. Votes of excluded annotators are among the votes,
    with a mark, and not in preferences and verdicts. CSV cells that a spreadsheet would take for a formula begin with
    an apostrophe.
    """
    from pairloop.exports.rows import COLUMNS, ROWS
    from pairloop.exports.text import encode
    from pairloop.cli.opening import open_store, writable_target
    from pairloop.cli.output import emit_bytes, emit_json, line
    from pairloop.errors import UsageError
    from pairloop.kit.atomic import write_atomic

    if as_json and out is None and not dry_run:
        raise UsageError("--json prints facts about an export, and stdout has its rows", "Add --out FILE.")
    if out is not None:
        writable_target(out)
    what = what or "preferences"
    with open_store(folder) as (store, _):
        rows = [row for row in ROWS[what](store) if not arms or row["arm"] in arms]
    data = encode(rows, form, COLUMNS[what])
    facts = {
        "what": what,
        "rows": len(rows),
        "ties": sum(bool(row.get("tie")) for row in rows),
        "bytes": len(data),
        "out": None if out is None else str(out),
        "written": not dry_run,
    }
    if not dry_run and out is None:
        emit_bytes(data)
        return
    if not dry_run and out is not None:
        write_atomic(out, data)
    if as_json:
        emit_json(facts)
    else:
        line(f"{'Would write' if dry_run else 'Wrote'} {len(rows)} {what}" + (f" to {out}" if out else ""))
