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
    ("cost", "money", 2),
)
_ROUNDS = (
    ("accuracy", "accuracy", 3),
    ("log_loss", "log-loss", 3),
    ("log_loss_raw", "raw", 3),
    ("brier", "Brier", 3),
    ("ece", "ECE", 3),
    ("spearman", "Spearman", 3),
    ("best_of_n", "best of four", 3),
    ("seconds", "CPU s", 1),
    ("cost", "money", 2),
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


def markdown(
    name: str, blocks: Sequence[Mapping[str, Any]], verdicts: Sequence[Verdict], *, rounds: bool = False
) -> str:
    """A summary for a pull request or a page; with every round of every arm where ``rounds``."""
    lines = [f"## {name}", ""]
    for block in blocks:
        lines += [f"### {block['data']} · {block['annotators']} · {block['model']}", "", *_summary(block), ""]
        lines += _matches(block)
        if rounds:
            lines += ["<details><summary>Every round</summary>", "", *_every_round(block), "", "</details>", ""]
    lines += [f"- {'FAILED' if v.failed else 'ok'}: `{v.condition}` at {v.where}: {v.detail}" for v in verdicts]
    return "\n".join(lines) + "\n"


def _summary(block: Mapping[str, Any]) -> list[str]:
    columns = [column for column in _COLUMNS if any(_worth_showing(arm, column[0]) for arm in block["arms"])]
    titles = [title for _, title, _ in columns]
    return [
        f"{block['groups']} held-out groups over all seeds; intervals are 95 %, from a bootstrap over seeds and"
        f" groups; target accuracy {block['target']:.3f}; differences against `{block['baseline']}`.",
        "",
        *_head(["strategy", "votes", *titles, "Δ area", "Δ log-loss"]),
        *(_row(arm, columns) for arm in block["arms"]),
    ]


def _head(titles: Sequence[str]) -> list[str]:
    return ["| " + " | ".join(titles) + " |", "|---" * len(titles) + "|"]


def _worth_showing(arm: Mapping[str, Any], key: str) -> bool:
    item = _item(arm, key)
    return item is not None and (key != "cost" or item["value"] > 0)


def _row(arm: Mapping[str, Any], columns: Sequence[tuple[str, str, int]]) -> str:
    cells = [_shown(_item(arm, key), digits) for key, _, digits in columns]
    cells += [_shown(arm["against"].get(key), 3, sign=True) for key in ("area", "log_loss")]
    return f"| {arm['name']} | {arm['votes'][-1]:.0f} | " + " | ".join(cells) + " |"


def _matches(block: Mapping[str, Any]) -> list[str]:
    """Votes to be as accurate as the arms of ``bench.match`` are at their end; also as a share of their votes."""
    goals = list(dict.fromkeys(name for arm in block["arms"] for name in arm["matches"]))
    if not goals:
        return []
    ends = {arm["name"]: arm for arm in block["arms"]}
    accuracy = {g: ends[g]["curves"]["accuracy"][-1]["value"] for g in goals}
    titles = [f"votes to match {g} ({accuracy[g]:.3f} with {ends[g]['votes'][-1]:.0f})" for g in goals]
    lines = _head(["strategy", *(cell for title in titles for cell in (title, "share of its votes"))])
    for arm in block["arms"]:
        found = [arm["matches"].get(goal) for goal in goals]
        cells = [text for match in found for text in (("not reached", "–") if match is None else _both(match))]
        lines.append(f"| {arm['name']} | " + " | ".join(cells) + " |")
    return [*lines, ""]


def _both(match: Mapping[str, Any]) -> tuple[str, str]:
    return _shown(match["votes"], 0), _shown(match["share"], 3)


def _every_round(block: Mapping[str, Any]) -> list[str]:
    columns = [c for c in _ROUNDS if any(_worth_showing(arm, c[0]) for arm in block["arms"])]
    lines = _head(["strategy", "votes", *(title for _, title, _ in columns)])
    for arm in block["arms"]:
        for t, votes in enumerate(arm["votes"]):
            cells = [format(arm["curves"][key][t]["value"], f".{d}f") if key in arm["curves"] else "–"
                     for key, _, d in columns]  # fmt: skip
            lines.append(f"| {arm['name']} | {votes:.0f} | " + " | ".join(cells) + " |")
    return lines


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
        "md": markdown(name, blocks, verdicts, rounds=True),
        "xml": junit(name, verdicts, blocks),
        "svg": learning_curves(blocks),
    }
    paths = []
    for suffix, text in texts.items():
        path = out / f"{name}.{suffix}"
        write_atomic(path, text, mode=0o644)
        paths.append(path)
    return paths
