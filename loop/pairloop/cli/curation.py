"""``pairloop data``: the whole source, looked at without storing anything."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pairloop.cli.options import debug_option, folder_argument, json_option

if TYPE_CHECKING:
    from pairloop.config import Config
    from pairloop.curation import Curated, Finding
    from pairloop.intake import IntakeReport
    from pairloop.records import RejectedRow


@click.command()
@folder_argument
@click.option(
    "--examples", type=click.IntRange(min=0), default=3, show_default=True, help="Examples shown of each finding."
)
@json_option
@debug_option
def data(folder: Path, examples: int, as_json: bool) -> None:
    """Say what is in the data, and what is wrong with it.

    The whole source is read and checked as an import would do it: rows that cannot be used, and what the checks of
    [curation] find, with line and reason. Nothing is stored and nothing is changed.
    """
    from pairloop.cli.opening import campaign_folder
    from pairloop.cli.output import emit_json
    from pairloop.config import load_config

    config = load_config(campaign_folder(folder) / "campaign.toml")
    curated, report, rejected = _read(folder, config)
    facts = _facts(config, curated, report, rejected, examples)
    emit_json(facts) if as_json else _tell(facts, config)


def _read(folder: Path, config: "Config") -> "tuple[Curated, IntakeReport, list[RejectedRow]]":
    from pairloop.cli.opening import campaign_folder
    from pairloop.cli.progress import Bar, watched
    from pairloop.cli.recognise import open_source
    from pairloop.config import resolve_path
    from pairloop.intake import read_and_curate
    from pairloop.registry import Registry

    file = campaign_folder(folder) / "campaign.toml"
    path = resolve_path(file, config.data.path)
    source = open_source(Registry(), config.data.source, config.data.options, path, str(file))
    bar = Bar(visible=watched())
    bar.start(f"reading {config.data.source}")
    try:
        return read_and_curate(source, config.curation, file.parent, bar)
    finally:
        bar.finish()


def _facts(
    config: "Config", curated: "Curated", report: "IntakeReport", rejected: "list[RejectedRow]", examples: int
) -> dict[str, Any]:
    reasons: dict[str, int] = {}
    for row in rejected:
        kind = row.reason.partition(":")[0]
        reasons[kind] = reasons.get(kind, 0) + 1
    return {
        "source": config.data.source,
        "rows": report.rows,
        "usable": len(curated.rows),
        "responses": sum(len(row.responses) for row in curated.rows),
        "recorded_votes": sum(len(row.recorded) for row in curated.rows),
        "rejected": len(rejected),
        "reasons": dict(sorted(reasons.items())),
        "first_rejected": [{"line": row.line, "reason": row.reason} for row in rejected[:examples]],
        "votes_removed": curated.votes_removed,
        "checks": {
            name: {**check, "examples": _examples(curated.findings, name, examples)}
            for name, check in report.curation["checks"].items()
        },
        "clusters": report.curation["clusters"],
    }


def _examples(findings: "list[Finding]", name: str, most: int) -> list[dict[str, Any]]:
    return [finding.as_json() for finding in findings if finding.check == name and not finding.again][:most]


def _tell(facts: dict[str, Any], config: "Config") -> None:
    from pairloop.cli.output import line, table
    from pairloop.kit.text import for_terminal

    line(f"{facts['rows']} rows: {facts['usable']} usable with {facts['responses']} responses.")
    for reason, count in facts["reasons"].items():
        line(f"Rejected {count}: {reason}")
    for row in facts["first_rejected"]:
        line(f"  line {row['line']}: {row['reason']}")
    table(
        ("check", "action", "found", "left out"),
        [(name, c["action"], str(c["found"]), str(c["removed"])) for name, c in facts["checks"].items()],
    )
    for name, check in facts["checks"].items():
        for found in check["examples"]:
            where = f"response {found['response']}" if found["response"] else "prompt"
            line(f"{name}, line {found['line']}, {where}: {found['why']}")
            line(f"    {for_terminal(' '.join(found['text'].split()), 100)}")
    if facts["clusters"]:
        line("What the prompts are about:")
        table(
            ("prompts", "words", "for example"),
            [(str(c["size"]), ", ".join(c["words"]), _begins(c["typical"])) for c in facts["clusters"]],
        )
    if facts["votes_removed"]:
        line(f"{facts['votes_removed']} recorded votes are about what is left out.")
    if not config.curation.evaluation_files:
        line("No evaluation files are named (curation.evaluation_files): overlap with them was not looked for.")


def _begins(typical: list[str]) -> str:
    from pairloop.kit.text import for_terminal

    return for_terminal(" ".join(typical[0].split()), 60) if typical else ""
