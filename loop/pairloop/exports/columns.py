"""What type every exported column has, for files that must say so: Parquet, and the card of a data set.

A column whose values are all missing would else have no type, or another one in the next file.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from pairloop.exports.rows import Row

TEXT, TRUTH, WHOLE, REAL, TEXTS, TURNS, OBJECT = "string", "bool", "int64", "float64", "strings", "turns", "object"
ANNOTATIONS = "annotations"

ANNOTATION: Mapping[str, str] = MappingProxyType({
    "annotator": TEXT, "type": TEXT, "preference": TEXT, "strength": WHOLE, "reason": TEXT, "seconds": REAL,
    "prompt_rating": WHOLE, "displayed_left": TEXT, "prelabel_shown": TRUTH, "arm": TEXT, "round": WHOLE,
    "excluded": TRUTH,
})  # fmt: skip
"""The keys of `pairloop.exports.rows.annotation`."""

TYPES: Mapping[str, str] = MappingProxyType(
    dict.fromkeys(
        ("prompt", "chosen", "rejected", "first", "second", "left", "right", "response_a", "response_b", "model_a",
         "model_b", "chosen_model", "rejected_model", "group", "excluded", "pair", "arm", "key", "choice", "reason",
         "annotator", "kind", "gold", "gold_reason"), TEXT,
    )
    | dict.fromkeys(("tie", "prelabel_shown", "flipped", "annotator_excluded"), TRUTH)
    | dict.fromkeys(("both_bad", "n", "round", "strength", "prompt_rating", "for_first", "for_second", "ties"), WHOLE)
    | dict.fromkeys(("p", "p_first", "disagreement", "seconds", "cost", "bits", "model_p_first", "margin"), REAL)
    | dict.fromkeys(("annotators", "kinds", "with"), TEXTS)
    | dict.fromkeys(("votes", "metadata", "metadata_a", "metadata_b"), OBJECT)
    | {"annotations": ANNOTATIONS}
)  # fmt: skip
"""Types by column; objects without fixed keys travel as JSON."""


def types_of(columns: Sequence[str], rows: Sequence[Row]) -> dict[str, str]:
    """The types of these columns; a text column in which any row has a conversation is one of conversations."""
    talks = {name for row in rows for name in columns if TYPES[name] == TEXT and isinstance(row[name], list)}
    return {name: TURNS if name in talks else TYPES[name] for name in columns}


def turns(value: Any, role: str) -> Any:
    """A text as a conversation of one turn; conversations and None as they are."""
    return [{"role": role, "content": value}] if isinstance(value, str) else value
