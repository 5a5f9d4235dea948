"""Which column holds what: as the configuration says, as a known set has it, or guessed from the names."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pairloop.errors import DataError
from pairloop.records import AnnotatorKind
from pairloop_plugins.columns.options import Columns, TableOptions
from pairloop_plugins.columns.presets import PRESETS
from pairloop_plugins.columns.roles import DEFAULT_VALUES, SHAPES, candidates, numbered

_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Layout:
    """How rows are read; ``guessed`` are the roles whose column has another name than they have."""

    columns: Columns
    values: Mapping[str, str] = field(default_factory=lambda: DEFAULT_VALUES)
    strengths: Mapping[str, int] = field(default_factory=dict)
    kind: AnnotatorKind = AnnotatorKind.HUMAN
    turns: str | None = None
    keep: tuple[str, ...] = ()
    guessed: tuple[str, ...] = ()


def layout_of(options: TableOptions, names: Sequence[str], where: str) -> Layout:
    """The layout of a table with these columns.

    Names that are the roles' own need no confirmation; a guess does.

    Raises:
        DataError: a column is not there, several could be meant, there are no responses, or it is a guess.
    """
    layout = suggested(options, names, where)
    if layout.guessed:
        raise DataError(
            f"{where}: the columns {_listed(names)} are not the ones that pairloop knows; a guess is"
            f" {as_toml(layout.columns)}",
            "Confirm it, or correct it, in campaign.toml: columns = {…} under [data.options].",
        )
    return layout


def layout_of_keys(options: TableOptions, where: str) -> Layout | None:
    """The layout of JSON lines, where every row has its own keys; None where the options name no columns.

    A key that is missing is the fault of its row, not of the file.

    Raises:
        DataError: the columns name no responses.
    """
    known = PRESETS[options.dataset].columns if options.dataset is not None else {}
    named = [name for value in {**known, **options.columns}.values() for name in _names(value)]
    return layout_of(options, named, where) if named else None


def _names(value: str | tuple[str, ...]) -> tuple[str, ...]:
    return ((value, value.partition(".")[0])) if isinstance(value, str) else value


def suggested(options: TableOptions, names: Sequence[str], where: str) -> Layout:
    """The same, with guesses allowed."""
    if options.dataset is not None:
        layout = _preset(options, names, where)
    elif options.columns:
        layout = Layout(options.columns, _values(options.values, DEFAULT_VALUES))
    else:
        layout = _guess(options, names, where)
    _check_columns(layout.columns, names, where)
    kind = options.chosen_kind if "chosen_kind" in options.model_fields_set else layout.kind
    return Layout(layout.columns, layout.values, layout.strengths, kind, layout.turns, layout.keep, layout.guessed)


def written_out(options: TableOptions, layout: Layout | None) -> dict[str, Any]:
    """The given options, with what was guessed written out for a person to confirm."""
    given: dict[str, Any] = options.model_dump(mode="json", exclude_unset=True)
    if layout is not None and layout.guessed:
        given["columns"] = {
            role: name if isinstance(name, str) else list(name) for role, name in layout.columns.items()
        }
    return given


def as_toml(columns: Columns) -> str:
    """The columns as one inline table."""
    cells = (
        f'{role} = "{name}"' if isinstance(name, str) else f"{role} = [{', '.join(map(repr, name))}]"
        for role, name in columns.items()
    )
    return "{" + ", ".join(cells) + "}"


def _preset(options: TableOptions, names: Sequence[str], where: str) -> Layout:
    assert options.dataset is not None  # noqa: S101 - the caller looked
    known = PRESETS[options.dataset]
    missing = sorted(name for name in known.columns.values() if name.partition(".")[0] not in names)
    if missing and not options.columns:
        raise DataError(
            f'{where}: this is not {options.dataset!r} as published in {known.home}: there is no column "{missing[0]}";'
            f" found {_listed(names)}",
            "Name the columns in data.options.columns instead.",
        )
    columns: Columns = {**known.columns, **options.columns}
    values = _values(options.values, known.values or DEFAULT_VALUES)
    return Layout(columns, values, known.strengths, known.kind, known.turns, known.keep)


def _guess(options: TableOptions, names: Sequence[str], where: str) -> Layout:
    found = candidates(names)
    series = numbered(names)
    if series:
        found = {role: hits for role, hits in found.items() if role not in ("response_a", "response_b")}
    for role, hits in found.items():
        if len(hits) > 1:
            raise DataError(
                f"{where}: the columns {_listed(hits)} could each be the {role}",
                f'Say which one in campaign.toml: columns = {{{role} = "…", …}} under [data.options].',
            )
    columns: Columns = {role: hits[0] for role, hits in found.items()}
    if series:
        columns["responses"] = series
    _check_shape(columns, names, where)
    guessed = tuple(role for role, name in columns.items() if name != role)
    return Layout(columns, _values(options.values, DEFAULT_VALUES), guessed=guessed)


def _check_shape(columns: Columns, names: Sequence[str], where: str) -> None:
    shapes = [shape for shape in SHAPES if all(role in columns for role in shape)]
    if len(shapes) > 1:
        both = " and as well ".join("/".join(shape) for shape in shapes)
        raise DataError(
            f"{where}: the columns {_listed(names)} hold {both}",
            "Say which ones count in campaign.toml: columns = {…} under [data.options].",
        )
    if not shapes:
        raise DataError(
            f"{where}: no responses among the columns {_listed(names)}",
            "Name the columns in campaign.toml, under [data.options]:"
            ' columns = {prompt = "…", response_a = "…", response_b = "…"}, or chosen and rejected, or responses.',
        )


def _check_columns(columns: Columns, names: Sequence[str], where: str) -> None:
    _check_shape(columns, names, where)
    for role, value in columns.items():
        for name in (value,) if isinstance(value, str) else value:
            if name not in names and name.partition(".")[0] not in names:
                raise DataError(
                    f'{where}: there is no column "{name}" (data.options.columns.{role}); found {_listed(names)}'
                )


def _values(given: Mapping[str, str], otherwise: Mapping[str, str]) -> Mapping[str, str]:
    return {key.strip().casefold(): value for key, value in given.items()} or otherwise


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(f'"{name[:40]}"' for name in names[:_SHOWN])
    return f"{shown} and {len(names) - _SHOWN} more" if len(names) > _SHOWN else shown or "(none)"
