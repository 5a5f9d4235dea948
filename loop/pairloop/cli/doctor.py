"""``pairloop doctor``."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pairloop.cli.options import debug_option, folder_argument, json_option

if TYPE_CHECKING:
    from pairloop.cli.checks import Finding


@click.command()
@folder_argument
@json_option
@debug_option
def doctor(folder: Path, as_json: bool) -> None:
    """Check installation, configuration, data, folder and store.

    Prints one line a check: ok, warn or fail. The exit code is 0, or that of the first check that failed: 2 for
    configuration and data, 4 for plugins, 6 for the store, 74 for the disk. Nothing is changed, and a running campaign
    is not disturbed. Where the config names a judge, one question is put to it.
    """
    from pairloop.cli.checks import examine
    from pairloop.cli.output import emit_json
    from pairloop.cli.progress import Bar, watched

    bar = Bar(visible=watched() and not as_json)
    findings = []
    for finding in examine(folder, bar):
        findings.append(finding)
        bar.finish()
        if not as_json:
            _tell(finding)
    if as_json:
        emit_json({"ok": not any(f.level == "fail" for f in findings), "checks": [_facts(f) for f in findings]})
    failed = [finding.exit_code for finding in findings if finding.level == "fail"]
    if failed:
        raise click.exceptions.Exit(failed[0])


def _tell(finding: "Finding") -> None:
    from pairloop.cli.output import line

    line(f"{finding.level:<4}  {finding.check}: {finding.text}")
    if finding.hint:
        line(f"      {finding.hint}")


def _facts(finding: "Finding") -> dict[str, Any]:
    return {"check": finding.check, "level": finding.level, "text": finding.text, "hint": finding.hint}
