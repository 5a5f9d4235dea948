"""``pairloop plugins``."""

import click

from pairloop.cli.options import debug_option, json_option


@click.command()
@click.option("--kind", help="Only parts of this kind (backend, source, gold, reward, strategy, policy, observer).")
@json_option
@debug_option
def plugins(kind: str | None, as_json: bool) -> None:
    """List the installed parts.

    Names and versions come from the metadata of the installed distributions; none of the parts is imported.
    """
    from pairloop.cli.output import emit_json, table
    from pairloop.errors import UsageError
    from pairloop.registry import KINDS, Registry

    kinds = (*KINDS, "command")
    if kind is not None and kind not in kinds:
        raise UsageError(f"there is no kind {kind!r} of parts", f"Kinds are: {', '.join(kinds)}")
    rows = [
        {"kind": offer.kind, "name": offer.name, "distribution": offer.distribution, "version": offer.version}
        for offer in Registry().offers()
    ]
    rows += _commands()
    rows = [row for row in rows if kind is None or row["kind"] == kind]
    if as_json:
        emit_json(rows)
    else:
        table(("kind", "name", "distribution", "version"), [list(row.values()) for row in rows])


def _commands() -> list[dict[str, str]]:
    from importlib.metadata import entry_points

    points = sorted(entry_points(group="pairloop.commands"), key=lambda point: point.name)
    return [
        {
            "kind": "command",
            "name": point.name,
            "distribution": point.dist.name if point.dist else "?",
            "version": point.dist.version if point.dist else "?",
        }
        for point in points
    ]
