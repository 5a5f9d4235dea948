"""``pairloop leaderboard``."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pairloop.cli.options import debug_option, folder_argument, json_option

if TYPE_CHECKING:
    from collections.abc import Callable

    from pairloop.config import Config
    from pairloop.leaderboard import Board
    from pairloop.leaderboard.ballots import Judgement


@click.command()
@folder_argument
@click.option(
    "--votes", type=click.Choice(["campaign", "data"]), default="campaign", show_default=True,
    help="Votes given in the campaign, or those that came with its data, asked again or not.",
)  # fmt: skip
@click.option(
    "--ties", type=click.Choice(["half", "davidson"]), default="half", show_default=True,
    help="A tie is half a win of each, or Davidson's model says how likely ties are.",
)  # fmt: skip
@click.option("--style", is_flag=True, help="Also rank at equal length and markdown.")
@click.option("--by", metavar="KEY", help="A table for every value of this key of the prompts' metadata.")
@click.option(
    "--legacy", type=click.Choice(["elo", "harkness"]), multiple=True, help="Add an older rating system's column."
)
@click.option(
    "--bootstrap", type=click.IntRange(min=100), metavar="DRAWS", help="Check the intervals by this many refits."
)
@json_option
@debug_option
def leaderboard(
    folder: Path,
    votes: str,
    ties: Any,
    style: bool,
    by: str | None,
    legacy: tuple[str, ...],
    bootstrap: int | None,
    as_json: bool,
) -> None:
    """Rank the models whose responses people compared.

    Bradley-Terry by maximum likelihood from single votes, with 95 % intervals clustered by annotator and prompt. A
    rating of 1000 is the average of the table, 400 points are odds of ten to one. Votes of excluded annotators, on
    gold items and of judges are not in; judges have a column of their own.
    """
    from pairloop.cli.leaderboard_text import tell
    from pairloop.cli.output import emit_json
    from pairloop.errors import UsageError

    boards = _boards(folder, votes, by, ties=ties, style=style, systems=legacy, draws=bootstrap or 0)
    if by is not None and set(boards) == {"(none)"}:
        raise UsageError(
            f'no prompt has "{by}" in its metadata',
            "Name a key that the data has; jsonl keeps those in its option keep.",
        )
    if as_json:
        found = {name: board.as_json() for name, board in boards.items()}
        emit_json(found[""] if by is None else {"by": by, "parts": found})
        return
    for name, board in boards.items():
        tell(board, None if by is None else f"{by} = {name}")


def _boards(folder: Path, votes: str, by: str | None, **how: Any) -> "dict[str, Board]":
    """The leaderboard by value of the metadata key; one with the name "" where none is asked for."""
    from pairloop.cli.opening import open_store
    from pairloop.leaderboard import collect, from_store, random_weights
    from pairloop.leaderboard import leaderboard as make

    if votes == "campaign":
        with open_store(folder) as (store, config):
            judgements, assignments = from_store(store), store.rounds.assignments()
    else:
        (judgements, config), assignments = _from_data(folder), []
    people, judges = collect(judgements, by=by), collect(judgements, judges=True, by=by)
    _needs_models(people.models, people.ignored, votes)
    how["seed"] = config.campaign.seed
    if by is None:
        return {"": make(people, judges, _random(people, assignments, random_weights), **how)}
    said = judges.parts()
    return {
        value: make(part, said.get(value), _random(part, assignments, random_weights), **how)
        for value, part in people.parts().items()
    }


def _random(people: Any, assignments: Any, weights: "Callable[..., Any]") -> Any:
    return weights(people, assignments) if assignments else None


def _from_data(folder: Path) -> "tuple[list[Judgement], Config]":
    """What came with the data, from the source itself: there a row says which model wrote which text."""
    from pairloop.campaign import CONFIG_NAME
    from pairloop.cli.opening import campaign_folder, has_database, open_store, read_config
    from pairloop.leaderboard import from_rows
    from pairloop.parts import Parts
    from pairloop.records import SourceRow
    from pairloop.registry import Registry

    config, place = read_config(folder), campaign_folder(folder)
    excluded: set[str] = set()
    if has_database(place):
        with open_store(folder) as (store, _):
            excluded = set(store.quality.excluded())
    parts = Parts(config, place / CONFIG_NAME, place, config.campaign.id or "", Registry())
    rows = (row for row in parts.source().rows() if isinstance(row, SourceRow))
    return from_rows(rows, excluded.__contains__), config


def _needs_models(models: tuple[str, ...], ignored: Any, votes: str) -> None:
    from pairloop.errors import UsageError

    if models:
        return
    why = ", ".join(f"{n} {reason}" for reason, n in ignored.items()) or "there are none"
    hint = "Collect some: pairloop run"
    if "without a model's name" in ignored:
        hint = "Name the models in the data: jsonl reads model_a and model_b, or the model of each response."
    elif votes == "campaign":
        hint += "; or rank by the votes that came with the data: --votes data"
    raise UsageError(f"no vote of a person is between responses of two named models ({why})", hint)
