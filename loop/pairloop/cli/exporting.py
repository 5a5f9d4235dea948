"""What ``pairloop export`` does: rows, their bytes, and the card beside them."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pairloop.config import Config
from pairloop.errors import UsageError
from pairloop.store import Store

_MARGINS = {
    "share": "share of the votes for the chosen response minus the share for the other one, in (0, 1]",
    "strength": "the same with each vote weighing its strength (0 to 1, 1 where none was given), in [0, 1]",
}
_ONE_ROW = {"preferences": "pair", "votes": "vote", "verdicts": "pair", "pairs": "pair", "disagreements": "pair"}


@dataclass(frozen=True, slots=True)
class Request:
    """The options of one call."""

    form: str
    out: Path | None
    dry_run: bool
    what: str | None
    arms: tuple[str, ...]
    names: bool | None
    card: bool
    license_name: str | None
    chat: bool
    margin: str
    files: str

    @property
    def rows_of(self) -> str:
        """Which rows are asked for."""
        return self.what or "preferences"

    def check(self) -> None:
        """Refuse what cannot be meant, before any work.

        Raises:
            UsageError: options that do not go together, or a target that cannot be written.
        """
        from pairloop.cli.opening import writable_target
        from pairloop.exports.hub import new_folder
        from pairloop.exports.yaml_head import licence

        licence(self.license_name)
        takes = {"trl": ("preferences", "votes"), "argilla": ("preferences",)}.get(self.form)
        if takes is not None and self.rows_of not in takes:
            raise UsageError(f"--format {self.form} has no {self.rows_of}", "Leave the option out, or use jsonl.")
        if self.card and self.out is None:
            raise UsageError("--card writes beside the export, and stdout has no place beside it", "Add --out FILE.")
        if self.form != "trl":
            if self.chat or self.margin != "share" or self.files != "jsonl":
                raise UsageError("--chat, --margin and --files are for --format trl", "Add --format trl.")
            if self.out is not None:
                writable_target(self.out)
                if self.card:
                    writable_target(card_of(self.out))
        elif self.out is not None:
            new_folder(self.out)
        elif not self.dry_run:
            raise UsageError("--format trl writes a folder", "Add --out FOLDER.")


@dataclass(frozen=True, slots=True)
class Made:
    """An export that is ready: facts, the bytes for stdout, and how to write it where ``--out`` says."""

    facts: dict[str, Any]
    data: bytes
    write: Callable[[], None]


def card_of(out: Path) -> Path:
    """Where the card of a single file goes: beside it, with ".md" for its ending."""
    return out.with_name(out.name + ".md")


def gathered(store: Store, config: Config, request: Request) -> Made:
    """Read everything that the export needs; nothing is written yet."""
    if request.form == "trl":
        return _training(store, config, request)
    return _single(store, config, request)


def _single(store: Store, config: Config, request: Request) -> Made:
    from pairloop.exports.names import pseudonyms, renamed
    from pairloop.exports.rows import ROWS
    from pairloop.kit.atomic import write_atomic

    names = pseudonyms(store.annotations.votes()) if request.names is False else None
    if request.form == "argilla":
        from pairloop.exports.argilla import argilla_records

        rows = argilla_records(store, request.arms, names)
    else:
        rows = [row for row in ROWS[request.rows_of](store) if not request.arms or row["arm"] in request.arms]
        rows = rows if names is None else renamed(rows, names)
    data = _encoded(rows, request)
    card = _card(store, config, request, {request.rows_of: len(rows)}, {}) if request.card else None

    def write() -> None:
        if request.out is not None:
            write_atomic(request.out, data)
            if card is not None:
                write_atomic(card_of(request.out), card)

    ties = sum(bool(row.get("tie")) for row in rows)
    return Made({"what": request.rows_of, "rows": len(rows), "ties": ties, "bytes": len(data)}, data, write)


def _encoded(rows: list[dict[str, Any]], request: Request) -> bytes:
    from pairloop.exports.columnar import parquet
    from pairloop.exports.rows import COLUMNS
    from pairloop.exports.text import encode

    if request.form == "parquet":
        columns = COLUMNS[request.rows_of]
        return parquet(rows, [*columns, "annotations"] if request.rows_of == "preferences" else columns)
    return encode(rows, request.form, COLUMNS[request.rows_of])


def _training(store: Store, config: Config, request: Request) -> Made:
    from pairloop.exports.hub import write_data
    from pairloop.exports.names import pseudonyms
    from pairloop.exports.training import Wanted, training
    from pairloop.exports.yaml_head import loading

    names = None if request.names else pseudonyms(store.annotations.votes())
    margin: Any = request.margin
    found = training(store, Wanted(request.rows_of == "votes", request.chat, margin, request.arms, names))
    if not found.tables:
        raise UsageError("there are no votes that a trainer could use", "Collect some: pairloop run")
    rows = {f"{name}/{split}": len(table.rows) for (name, split), table in found.tables.items()}
    files: Any = request.files
    card = _card(store, config, request, rows, loading(found, files), found.left_out)
    ties = sum(n for name, n in rows.items() if name.startswith("ties"))
    facts = {"what": request.rows_of, "rows": found.rows, "ties": ties, "tables": rows, "left_out": found.left_out}

    def write() -> None:
        if request.out is not None:
            write_data(request.out, found, card, files)

    return Made(facts, b"", write)


def _card(
    store: Store, config: Config, request: Request, rows: dict[str, int], loading: dict[str, Any],
    left_out: Any = None,
) -> str:  # fmt: skip
    from pairloop.exports.card import Exported, data_card
    from pairloop.exports.yaml_head import licence
    from pairloop.report.facts import gather

    trl = request.form == "trl"
    exported = Exported(
        rows=rows,
        what=_ONE_ROW[request.rows_of],
        license_name=licence(request.license_name or config.data.license),
        pseudonyms=request.names is False or (trl and not request.names),
        left_out=left_out or {},
        arms=request.arms,
        loading=loading,
        margin=_MARGINS.get(request.margin) if trl else None,
    )
    return data_card(gather(store, config), config, exported)
