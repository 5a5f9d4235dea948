"""The results as text for a terminal, Markdown, JUnit and JSON."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

from pairloop import __version__
from pairloop.bench.gate import Verdict
from pairloop.bench.plots import learning_curves
from pairloop.kit.atomic import write_atomic

_COLUMNS = (
    ("accuracy", "accuracy at the end", 3),
    ("area", "area", 3),
    ("log_loss", "log-loss", 3),
    ("ece", "ECE", 3),
    ("votes_to_target", "votes to target", 0),
    ("saved", "votes saved", 2),
    ("seconds", "CPU s", 1),
)


def document(name: str, blocks: Sequence[Mapping[str, Any]], verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """The JSON result."""
    return {
        "format": "pairloop-bench-1",
        "pairloop": __version__,
        "name": name,
        "blocks": list(blocks),
        "verdicts": [
            {"condition": v.condition, "where": v.where, "failed": v.failed, "detail": v.detail} for v in verdicts
        ],
    }


def markdown(name: str, blocks: Sequence[Mapping[str, Any]], verdicts: Sequence[Verdict]) -> str:
    """A summary for a pull request or a page."""
    lines = [f"## {name}", ""]
    for block in blocks:
        lines += [
            f"### {block['data']} · {block['annotators']} · {block['model']}",
            "",
            f"{block['groups']} held-out groups over all seeds; intervals are 95 %, from a bootstrap over seeds and"
            f" groups; target accuracy {block['target']:.3f}; differences against `{block['baseline']}`.",
            "",
            "| strategy | " + " | ".join(title for _, title, _ in _COLUMNS) + " | Δ area | Δ log-loss |",
            "|---" * (len(_COLUMNS) + 3) + "|",
        ]
        lines += [_row(arm) for arm in block["arms"]]
        lines.append("")
    lines += [f"- {'FAILED' if v.failed else 'ok'}: `{v.condition}` at {v.where}: {v.detail}" for v in verdicts]
    return "\n".join(lines) + "\n"


def _row(arm: Mapping[str, Any]) -> str:
    cells = [_shown(_item(arm, key), digits) for key, _, digits in _COLUMNS]
    cells += [_shown(arm["against"].get("area"), 3, sign=True), _shown(arm["against"].get("log_loss"), 3, sign=True)]
    return f"| {arm['name']} | " + " | ".join(cells) + " |"


def _item(arm: Mapping[str, Any], key: str) -> Mapping[str, Any] | None:
    if key in ("area", "votes_to_target", "saved"):
        found: Mapping[str, Any] | None = arm[key]
        return found
    curve = arm["curves"].get(key)
    return curve[-1] if curve else None


def _shown(item: Mapping[str, Any] | None, digits: int, *, sign: bool = False) -> str:
    if item is None:
        return "–"
    form = f"{'+' if sign else ''}.{digits}f"
    if item["low"] is None and item["high"] is None:
        return format(item["value"], form)
    low = "−∞" if item["low"] is None else format(item["low"], form)
    high = "∞" if item["high"] is None else format(item["high"], form)
    return f"{item['value']:{form}} [{low}, {high}]"


def junit(name: str, verdicts: Sequence[Verdict], blocks: Sequence[Mapping[str, Any]]) -> str:
    """JUnit XML: one test case a condition and arm (or one a block when there is no condition)."""
    suite = ET.Element("testsuite", name=f"pairloop-bench.{name}")
    cases = list(verdicts) or [
        Verdict("measured", f"{b['data']}/{b['annotators']}/{b['model']}", False, "no condition given") for b in blocks
    ]
    for verdict in cases:
        case = ET.SubElement(suite, "testcase", classname=verdict.where, name=verdict.condition)
        if verdict.failed:
            ET.SubElement(case, "failure", message=verdict.detail).text = verdict.detail
        else:
            ET.SubElement(case, "system-out").text = verdict.detail
    suite.set("tests", str(len(cases)))
    suite.set("failures", str(sum(v.failed for v in cases)))
    return ET.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"


def write_all(out: Path, name: str, blocks: Sequence[Mapping[str, Any]], verdicts: Sequence[Verdict]) -> list[Path]:
    """Write ``<name>.json``, ``.md``, ``.xml`` and ``.svg`` into the folder; returns the paths."""
    out.mkdir(parents=True, exist_ok=True)
    texts = {
        "json": json.dumps(document(name, blocks, verdicts), indent=1, sort_keys=True) + "\n",
        "md": markdown(name, blocks, verdicts),
        "xml": junit(name, verdicts, blocks),
        "svg": learning_curves(blocks),
    }
    paths = []
    for suffix, text in texts.items():
        path = out / f"{name}.{suffix}"
        write_atomic(path, text, mode=0o644)
        paths.append(path)
    return paths
