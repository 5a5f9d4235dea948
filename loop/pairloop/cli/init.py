"""``pairloop init``: a configuration that runs as it is."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pairloop.cli.options import debug_option, dry_run_option, json_option

if TYPE_CHECKING:
    from pairloop.cli.recognise import Recognised
    from pairloop.registry import Registry

Changes = dict[str, dict[str, Any]]
_SOURCES = {".csv": "csv", ".tsv": "csv", ".tab": "csv", ".parquet": "parquet"}


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--data", type=click.Path(path_type=Path), metavar="FILE", help="Prompts and responses to ask about.")
@click.option("--source", help="Pair source that reads FILE; by default what its name ends with says.")
@click.option("--backend", help="Who annotates; by default what fits the data.")
@click.option(
    "--set", "given", multiple=True, metavar="KEY=VALUE", help="An option of the backend; may be given several times."
)
@click.option("--project", metavar="N", help="Short for --set project=N: a place of yours on the server.")
@click.option("--yes", is_flag=True, help="What the backend guessed about a place of yours is right; do not ask.")
@click.option("--name", help="Name of the campaign; by default that of the folder.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="All randomness comes from it.")
@json_option
@dry_run_option("Print the configuration instead of writing it.")
@debug_option
def init(
    folder: Path,
    data: Path | None,
    source: str | None,
    backend: str | None,
    given: tuple[str, ...],
    project: str | None,
    yes: bool,
    name: str | None,
    seed: int,
    as_json: bool,
    dry_run: bool,
) -> None:
    """Write a commented campaign.toml that runs.

    With --data, the first rows of FILE are read and shown, nothing is imported yet; columns whose meaning is guessed
    are shown and written into campaign.toml, to be confirmed there. Without, the campaign uses the
    demonstration data that comes with pairloop. An existing campaign.toml is never overwritten.

    A backend with a server makes its place there (Label Studio: a project), or takes one of yours (--project) after
    asking whether it understood it (--yes: do not ask); --dry-run only says what it would make.
    """
    from pairloop.cli.opening import command
    from pairloop.cli.output import emit_json, line, message
    from pairloop.config.load import parse_config
    from pairloop.config.template import template
    from pairloop.registry import Registry

    target = _target(folder)
    registry = Registry()
    kind = source or source_for(data)
    options, found = ({}, None) if data is None else _look(registry, kind, data)
    changes: Changes = {"campaign": {"name": name or _name_for(folder), "seed": seed}}
    if found is None or data is None:
        changes |= _demo_changes(registry, backend)
    else:
        changes |= _data_changes(registry, kind, folder, data, found, backend)
        changes["data"] |= {"options": options} if options else {}
    if project is not None:
        given = (*given, f"project={project}")
    told = _prepare(registry, folder, changes, given, dry_run, sure=yes or dry_run, own_data=data is not None)
    text = template(changes)
    config = parse_config(text, str(target))
    if not dry_run:
        _write(target, text)
    elif not as_json:
        click.echo(text, nl=False)
        for sentence in told:
            message(sentence)
        return
    facts = {
        "folder": str(folder),
        "config": str(target),
        "written": not dry_run,
        "source": config.data.source,
        "backend": config.backend.kind,
        "options": options,
        "recognised": None if found is None else found.as_json(),
        "prepared": told,
    }
    if as_json:
        emit_json(facts)
        return
    if found is not None:
        _tell(found)
    for role, column in options.get("columns", {}).items():
        line(f"Guessed, please check in {target.name}: {role} is {_names(column)}.")
    for sentence in told:
        line(sentence)
    line(f"Wrote {target} (source {config.data.source}, backend {config.backend.kind}).")
    line(f"Next: {command('run', folder)}")


def _prepare(
    registry: "Registry",
    folder: Path,
    changes: Changes,
    given: tuple[str, ...],
    dry_run: bool,
    *,
    sure: bool,
    own_data: bool,
) -> tuple[str, ...]:
    """Let the backend make its place, and note its options; sentences about what it did."""
    from pairloop.errors import UsageError
    from pairloop.protocols import Preparing
    from pairloop.registry import options_of

    settings = changes["backend"]
    spec = registry.spec("backend", settings["kind"], "--backend")
    known = set() if spec.options is None else set(spec.options.model_fields)
    texts = dict(_parted(text) for text in given)
    options = {key: _value(text) for key, text in texts.items() if key in known}
    rest = {key: text for key, text in texts.items() if key not in known}
    if rest and spec.prepare is None:
        raise UsageError(
            f"--set: backend {spec.name!r} has no option {', '.join(sorted(rest))}", "See docs/configuration.md."
        )
    if options:
        settings["options"] = {**settings.get("options", {}), **options}
    made = options_of(spec, settings.get("options", {}), "--set", "backend.options")
    if spec.prepare is None:
        return ()
    prepared = spec.prepare(made, Preparing(changes["campaign"]["name"], folder, rest, dry_run))
    settings["options"] = {**settings.get("options", {}), **prepared.options}
    if prepared.data is not None:
        if own_data:
            raise UsageError("--data: the questions are those that the backend's place holds", "Leave --data out.")
        changes["data"] = dict(prepared.data)
        changes.pop("round", None)
    if prepared.confirm and not sure:
        _confirm(prepared.confirm)
    return (*prepared.told, *prepared.confirm)


def _confirm(guessed: tuple[str, ...]) -> None:
    """Have a person say yes to what was guessed.

    Raises:
        UsageError: there is nobody, or the answer is no.
    """
    import sys

    from pairloop.cli.output import message
    from pairloop.errors import UsageError

    for sentence in guessed:
        message(sentence)
    asked = sys.stdin.isatty()
    if not asked or not click.confirm("Is that right?", err=True):
        said = "You said no: nothing was written" if asked else "nobody is there to confirm this"
        raise UsageError(said, "Right: --yes. Wrong: --set 'mapping={…}', see docs/label-studio.md.")


def _parted(text: str) -> tuple[str, str]:
    from pairloop.errors import UsageError

    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise UsageError(f"--set {text}: write KEY=VALUE")
    return key.strip(), value


def _value(text: str) -> Any:
    """A TOML value, or the text as it is."""
    import tomlkit
    from tomlkit.exceptions import ParseError

    try:
        return tomlkit.parse(f"value = {text}").unwrap()["value"]
    except ParseError:
        return text


def _target(folder: Path) -> Path:
    from pairloop.campaign import CONFIG_NAME
    from pairloop.errors import UsageError

    target = folder / CONFIG_NAME
    if target.exists():
        raise UsageError(f"{target} exists already and is not overwritten", "Choose another folder, or edit the file.")
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file", "Name a folder.")
    return target


def _write(target: Path, text: str) -> None:
    from pairloop.kit.atomic import disk_errors, write_atomic

    with disk_errors(target.parent):
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)  # votes name people
    write_atomic(target, text, mode=0o644)


def source_for(data: Path | None) -> str:
    """The built-in pair source for a file of this name, or for a folder."""
    if data is not None and data.is_dir():
        return "parquet" if any(data.glob("*.parquet")) else "huggingface"
    endings = [] if data is None else [ending.lower() for ending in data.suffixes if ending.lower() != ".gz"]
    return _SOURCES.get(endings[-1] if endings else "", "jsonl")


def _names(column: str | list[str]) -> str:
    from pairloop.kit.text import for_terminal

    names = [column] if isinstance(column, str) else column
    return ", ".join(f'"{for_terminal(name, 60)}"' for name in names)


def _look(registry: "Registry", source: str, data: Path) -> "tuple[dict[str, Any], Recognised]":
    """Options that the source suggests, and what its first rows look like under them."""
    from pairloop.cli.recognise import open_source, recognise
    from pairloop.errors import DataError
    from pairloop.protocols import SuggestsOptions

    options: dict[str, Any] = {}
    try:
        opened = open_source(registry, source, options, data, "--source")
        if isinstance(opened, SuggestsOptions):
            options = dict(opened.suggested_options())
        return options, recognise(open_source(registry, source, options, data, "--source"))
    except DataError as error:
        message = error.message if str(data) in error.message else f"{data}: {error.message}"
        if not data.exists():  # the source speaks of campaign.toml, which does not exist yet
            raise DataError(message, "Check the path after --data.") from error
        raise DataError(message, error.hint) from error


def _demo_changes(registry: "Registry", backend: str | None) -> Changes:
    from pairloop.errors import UsageError

    if not any(offer.name == "demo" for offer in registry.offers("source")):
        raise UsageError("there is no demonstration data in this installation", "Name your own: --data FILE")
    kind = backend or "simulated"
    _check_backend(registry, kind)
    settings: dict[str, Any] = {"kind": kind}
    if kind == "simulated":
        settings |= {"gold": "demo", "options": {"teacher": "crowd"}}
    return {"data": {"source": "demo"}, "backend": settings, "round": {"max_rounds": 6}}


def _data_changes(
    registry: "Registry", source: str, folder: Path, data: Path, found: "Recognised", backend: str | None
) -> Changes:
    from pairloop.cli.output import message
    from pairloop.errors import UsageError

    kind = backend or _fitting_backend(registry, found)
    _check_backend(registry, kind)
    settings: dict[str, Any] = {"kind": kind}
    if kind == "simulated" and found.has_gold:
        settings["options"] = {"gold": "metadata", "gold_key": "gold"}
    elif kind == "simulated":
        raise UsageError(
            f"{data}: simulated annotators need a gold score, and not every response has a number"
            ' "gold" in its metadata',
            "Add it, or take another backend: csv (people), replay (recorded votes), manual (your own program).",
        )
    elif kind == "manual":
        message("The backend is 'manual': answers come from your own program (Campaign.ask and Campaign.tell).")
    return {"data": {"source": source, "path": _path_for_config(folder, data)}, "backend": settings}


def _fitting_backend(registry: "Registry", found: "Recognised") -> str:
    """Replay recorded votes, else simulate by a gold score, else let people answer."""
    if found.recorded_votes:
        return "replay"
    if found.has_gold:
        return "simulated"
    installed = {offer.name for offer in registry.offers("backend")}
    return next((kind for kind in ("csv", "manual") if kind in installed), "simulated")


def _check_backend(registry: "Registry", kind: str) -> None:
    registry.spec("backend", kind, "--backend")


def _path_for_config(folder: Path, data: Path) -> str:
    """Relative when the data lies in the campaign's folder, so that the folder can be moved; else absolute."""
    absolute, home = data.resolve(), folder.resolve()
    return str(absolute.relative_to(home) if absolute.is_relative_to(home) else absolute)


def _name_for(folder: Path) -> str:
    name = re.sub(r"[^a-z0-9_-]+", "-", folder.resolve().name.lower()).strip("-_")[:64]
    return name or "campaign"


def _tell(found: "Recognised") -> None:
    from pairloop.cli.output import line, table
    from pairloop.kit.text import plain

    more = "" if found.complete else " (the first rows; there are more)"
    line(f"{found.usable} usable rows{more}, {found.responses} responses, {found.pairs} candidate pairs.")
    if found.conversations:
        line(f"{found.conversations} prompts are conversations.")
    if found.recorded_votes:
        line(f"{found.recorded_votes} recorded votes.")
    for row in found.rejected[:3]:
        line(f"Line {row.line} cannot be used: {row.reason}")
    if len(found.rejected) > 3:
        line(f"… and {len(found.rejected) - 3} more.")
    table(
        ("line", "prompt", "responses"),
        [
            (row.line, _short(plain(row.prompt), 60), " | ".join(_short(r.text, 30) for r in row.responses[:3]))
            for row in found.examples
        ],
    )


def _short(text: str, limit: int) -> str:
    from pairloop.kit.text import for_terminal

    return for_terminal(" ".join(text.split()), limit)
