"""A leaderboard as text."""

from typing import Any

from pairloop.cli.output import line, table
from pairloop.leaderboard.board import POINTS, Board, Standing, Table, rating
from pairloop.metrics import Estimate

_COLUMNS = ("rank", "model", "rating", "votes", "won", "tied", "lost", "strength")
_SHOWN = 5  # annotators of most influence


def tell(board: Board, title: str | None) -> None:
    """Print a leaderboard."""
    if title is not None:
        line(title)
    for found in board.tables:
        _tell_table(found)
    simulated = f", {board.simulated} of them by simulators" if board.simulated else ""
    line(f"{board.votes} votes{simulated}; not in: {_ignored(board)}")
    for note in board.notes:
        line(note)
    if title is not None:
        line()


def _ignored(board: Board) -> str:
    return ", ".join(f"{n} {reason}" for reason, n in board.ignored.items()) or "none"


def _tell_table(found: Table) -> None:
    extra = _extra_columns(found)
    cells = [[*_row(row), *(column[i] for column in extra.values())] for i, row in enumerate(found.rows)]
    table([*_COLUMNS, *extra], cells)
    line(f"{found.votes} votes, {found.annotators} annotators, {found.prompts} groups of prompts")
    if found.tie is not None:
        line(f"Davidson's tie parameter: {found.tie:.3f}")
    for name, effect in found.effects.items():
        spread = "" if effect.low is None else f" [{effect.low:+.3f}, {effect.high:+.3f}]"
        line(f"Effect of {name}: {effect.value:+.3f}{spread} log-odds a standard deviation of the difference")
    for note in found.notes:
        line(note)
    for row in found.rows:
        if row.note is not None:
            line(f"  {row.model}: {row.note}")
    told = sum(pair.p < 0.05 for pair in found.pairs)
    if found.pairs:
        line(f"Told apart at 5 %, all pairs at once: {told} of {len(found.pairs)} pairs")
    for each in found.influence[:_SHOWN]:
        first = "" if each.first is None else f"; {each.first} first"
        moved = f"{each.model} {POINTS * each.change:+.0f} points"
        line(f"  without {each.annotator} ({each.votes:,.0f} votes): {moved}{first}")


def _row(row: Standing) -> list[Any]:
    rank = f"{row.rank}" if row.rank_low is None else f"{row.rank} [{row.rank_low}, {row.rank_high}]"
    tallies = (f"{n:,.1f}".removesuffix(".0") for n in (row.votes, row.wins, row.ties, row.losses))
    return [rank, row.model, _rating(row.score), *tallies, f"{row.strength:.4f}"]


def _extra_columns(found: Table) -> dict[str, list[Any]]:
    """Columns that not every table has."""
    rows, first = found.rows, found.rows[0]
    out: dict[str, list[Any]] = {}
    if first.styled is not None:
        out["at equal style"] = [_rating(row.styled) for row in rows]
        out["rank there"] = [
            None if row.styled_rank is None else "{} [{}, {}]".format(*row.styled_rank) for row in rows
        ]
    if first.random is not None:
        out["random pairs only"] = [_rating(row.random) for row in rows]
    if first.judge is not None:
        out["judges"] = [_whole(row.judge) for row in rows]
    if first.bootstrap is not None:
        out["bootstrap"] = [
            None if row.bootstrap is None else "[{}, {}]".format(*map(_whole, row.bootstrap)) for row in rows
        ]
    for system in first.legacy:
        out[system] = [f"{row.legacy[system]:.0f}" for row in rows]
    return out


def _rating(score: Estimate | None) -> str | None:
    if score is None:
        return None
    spread = "" if score.low is None else f" [{_whole(score.low)}, {_whole(score.high)}]"
    return f"{_whole(score.value)}{spread}"


def _whole(score: float | None) -> str:
    return "–" if score is None else f"{rating(score):.0f}"
