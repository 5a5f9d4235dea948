"""Whatever is in the file, the source gives rows and rejections, and what it gives can be stored."""

import gzip
import json
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pairloop.kit.canonical import canonical_json
from pairloop.kit.ids import content_json, prompt_id
from pairloop.records import RejectedRow, SourceRow
from pairloop_plugins.jsonl.options import JsonlOptions
from pairloop_plugins.jsonl.source import JsonlSource

SETTINGS = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])

text = st.text(max_size=8)
json_value = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.floats() | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=8,
)
message = st.fixed_dictionaries({"role": st.sampled_from(["user", "assistant", ""]), "content": text}) | json_value
response = text | st.fixed_dictionaries(
    {"text": text}, optional={"model": text, "metadata": json_value, "x": json_value}
)
annotation = st.fixed_dictionaries(
    {"annotator": text | st.integers(0, 3), "preference": st.sampled_from(["a", "b", "tie", "both_bad", "skip", "?"])},
    optional={
        "type": text,
        "seconds": st.floats() | text,
        "strength": json_value,
        "pair": st.lists(st.integers(-1, 3)),
    },
)
row = st.fixed_dictionaries(
    {},
    optional={
        "prompt": text | st.lists(message, max_size=3) | json_value,
        "responses": st.lists(response | json_value, max_size=4) | json_value,
        "pairs": st.lists(st.lists(st.integers(-1, 4), max_size=3), max_size=2),
        "response_a": response | json_value,
        "response_b": response | json_value,
        "chosen": text | st.lists(message, max_size=3),
        "rejected": text | st.lists(message, max_size=3),
        "annotations": st.lists(annotation | json_value, max_size=3),
        "group": text | json_value,
        "metadata": st.dictionaries(text, json_value, max_size=2) | json_value,
    },
)


def read(content: bytes, **options: Any) -> list[SourceRow | RejectedRow]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "f"
        path.write_bytes(content)
        rows = list(JsonlSource(JsonlOptions(**options), path).rows())
    for one in rows:
        assert isinstance(one, SourceRow | RejectedRow)
        check(one)
    return rows


def check(one: SourceRow | RejectedRow) -> None:
    """Everything can be written as UTF-8 JSON, has an id, and indices are within bounds."""
    if isinstance(one, RejectedRow):
        assert one.reason
        (one.reason + one.excerpt).encode("utf-8")
        return
    prompt_id(one.prompt)
    n = len(one.responses)
    assert len({each.text for each in one.responses}) >= 2
    canonical_json(
        [content_json(one.prompt), dict(one.metadata), one.group]
        + [[each.text, each.provenance.model, dict(each.metadata)] for each in one.responses]
    ).encode("utf-8")
    for i, j in [*(one.pairs or ()), *(pair for pair, _ in one.recorded)]:
        assert 0 <= i < n
        assert 0 <= j < n
        assert i != j
    for _, vote in one.recorded:
        canonical_json([vote.annotator, vote.choice, vote.kind, vote.strength, vote.reason, vote.seconds]).encode(
            "utf-8"
        )


@SETTINGS
@given(st.binary(max_size=400))
def test_any_bytes(content: bytes) -> None:
    read(content)


@SETTINGS
@given(st.binary(max_size=200), st.booleans())
def test_any_bytes_behind_the_mark_of_gzip(content: bytes, header: bool) -> None:
    read((b"\x1f\x8b\x08\x00" + b"\0" * 6 if header else b"\x1f\x8b") + content)


@SETTINGS
@given(st.lists(row, max_size=4), st.integers(0, 10_000), st.booleans())
def test_any_rows_also_torn(rows: list[dict[str, Any]], cut: int, packed: bool) -> None:
    content = "\n".join(json.dumps(one) for one in rows).encode()
    content = gzip.compress(content) if packed else content
    read(content)
    read(content[: cut % (len(content) + 1)])


@SETTINGS
@given(row)
def test_a_good_row_stays_good_beside_any_other(other: dict[str, Any]) -> None:
    good = json.dumps({"prompt": "p", "responses": ["a", "b"]})
    first, *_, last = read(f"{good}\n{json.dumps(other)}\n{good}".encode(), group_key=None)
    assert isinstance(first, SourceRow)
    assert isinstance(last, SourceRow)
    assert last.line == 3
