"""pairloop leaderboard: campaign and data, bad input, names that want to be something else."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from pairloop.campaign import Campaign
from pairloop.cli.app import cli

HOSTILE = "evil\x1b[31m<script>alert(1)</script>\u202e=1"
UNICODE = "模型 7B ü"


def invoke(*args: str | Path) -> Result:
    return CliRunner().invoke(cli, ["leaderboard", *map(str, args)])


def facts(*args: str | Path) -> dict[str, Any]:
    result = invoke(*args, "--json")
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def rows_of(models: tuple[str, ...], n: int, **more: Any) -> list[dict[str, Any]]:
    """``n`` pairs of the models in turn, judged by two of five people; the earlier named wins two times in three."""
    out = []
    for i in range(n):
        one, other = models[i % len(models)], models[(i + 1 + i // len(models) % (len(models) - 1)) % len(models)]
        better = "aab=" if models.index(one) < models.index(other) else "bba="
        said = [better[(i // 3 + j) % 4].replace("=", "tie") for j in range(2)]
        answers = [{"annotator": f"w{(i + j) % 5}", "preference": said[j]} for j in range(2)]
        out.append({
            "prompt": f"question {i % 8}", "response_a": f"{one} says {i}", "response_b": f"{other} says {i}!",
            "model_a": one, "model_b": other, "annotations": answers, "topic": f"t{i % 2}", **more,
        })  # fmt: skip
    return out


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Path]:
    def folder(rows: list[dict[str, Any]], **tables: dict[str, Any]) -> Path:
        place = tmp_path / "campaign"
        place.mkdir()
        (place / "rows.jsonl").write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
        config: dict[str, dict[str, Any]] = {
            "campaign": {"name": "models", "id": "models"},
            "data": {"source": "jsonl", "path": "rows.jsonl", "near_duplicate_threshold": 1.0},
            "backend": {"kind": "replay"}, "round": {"size": 30}, "selection": {"strategy": "random"},
        }  # fmt: skip
        lines = []
        for table, values in {**config, **tables}.items():
            lines += [f"[{table}]", *(f"{key} = {json.dumps(value)}" for key, value in values.items())]
        (place / "campaign.toml").write_text("\n".join(lines).replace('{"keep": ', "{keep = "), encoding="utf-8")
        return place

    return folder


def test_votes_of_the_data_need_no_campaign_to_have_run(make):
    folder = make(rows_of(("a", UNICODE, "c"), 60))
    found = facts(folder, "--votes", "data")
    (table,) = found["tables"]
    assert found["votes"] == 120
    assert {row["model"] for row in table["rows"]} == {"a", UNICODE, "c"}
    assert table["gradient"] < 1e-10
    assert sum(row["strength"] for row in table["rows"]) == pytest.approx(1.0, abs=1e-12)
    assert [row["rank"] for row in table["rows"]] == [1, 2, 3]
    for row in table["rows"]:
        assert row["rating"]["low"] < row["rating"]["value"] < row["rating"]["high"]
    text = invoke(folder, "--votes", "data", "--style", "--ties", "davidson", "--legacy", "harkness").stdout
    for words in (UNICODE, "Davidson's tie parameter", "Effect of length", "harkness", "120 votes", "without w"):
        assert words in text


def test_a_campaign_and_its_data_agree_once_everything_was_asked(make):
    folder = make(rows_of(("a", "b", "c"), 48), holdout={"share": 0.2}, round={"size": 60, "replicas": 2})
    with Campaign(folder) as campaign:
        campaign.run()
    from_campaign, from_data = facts(folder), facts(folder, "--votes", "data")
    assert from_campaign["votes"] == from_data["votes"] == 96
    scores = [
        {row["model"]: row["score"]["value"] for row in found["tables"][0]["rows"]}
        for found in (from_campaign, from_data)
    ]
    assert scores[0] == pytest.approx(scores[1], abs=1e-9)
    with Campaign(folder) as campaign:
        campaign.decide_annotator("w1", excluded=True, decided_by="test", reason=None)
    without = facts(folder)
    assert without["ignored"]["of an excluded annotator"] + without["votes"] == 96
    assert facts(folder, "--votes", "data")["ignored"] == without["ignored"]


def test_a_table_for_every_value_of_a_key(make):
    folder = make(rows_of(("a", "b"), 40), data={
        "source": "jsonl", "path": "rows.jsonl", "options": {"keep": ["topic"]},
    })  # fmt: skip
    found = facts(folder, "--votes", "data", "--by", "topic")
    assert {name: part["votes"] for name, part in found["parts"].items()} == {"t0": 40, "t1": 40}
    assert "topic = t1" in invoke(folder, "--votes", "data", "--by", "topic").stdout
    refused = invoke(folder, "--votes", "data", "--by", "nothing")
    assert refused.exit_code == 2
    assert "nothing" in refused.stderr


def test_names_of_models_stay_text_on_the_terminal_and_on_the_page(make):
    folder = make(rows_of((HOSTILE, "b", "c"), 48), round={"size": 100})
    with Campaign(folder) as campaign:
        campaign.run()
    out = invoke(folder).output
    assert "\x1b[31m" not in out
    assert "\u202e" not in out
    assert "\\x1b[31m<script>" in out.replace("\n", "").replace(" ", "")
    result = CliRunner().invoke(cli, ["report", str(folder)])
    assert result.exit_code == 0, result.output
    page = (folder / "report.html").read_text(encoding="utf-8")
    section = page[page.index('<section id="models">') : page.index('<section id="policy">')]
    assert "<script" not in page
    assert "&lt;script&gt;" in section
    assert "\u202e" not in page
    assert "\x1b" not in page
    assert '<a href="#models">' in page


@pytest.mark.parametrize(
    ("drop", "words"),
    [
        (("model_a", "model_b"), "Name the models in the data"),
        (("annotations",), "there are none"),
        (("model_b",), "Name the models in the data"),
    ],
)
def test_without_names_or_votes_it_says_what_is_missing(make, drop, words):
    rows = [{key: value for key, value in row.items() if key not in drop} for row in rows_of(("a", "b"), 10)]
    result = invoke(make(rows), "--votes", "data")
    assert result.exit_code == 2
    assert words in result.stderr


def test_one_model_is_no_leaderboard(make):
    rows = [{**row, "model_a": "a", "model_b": "a"} for row in rows_of(("a", "b"), 10)]
    result = invoke(make(rows), "--votes", "data")
    assert result.exit_code == 2
    assert "20 between texts of the same model" in result.stderr


def test_a_report_without_named_models_has_no_such_section(make):
    rows = [{k: v for k, v in row.items() if not k.startswith("model")} for row in rows_of(("a", "b"), 24)]
    folder = make(rows)
    with Campaign(folder) as campaign:
        campaign.run()
    assert CliRunner().invoke(cli, ["report", str(folder)]).exit_code == 0
    assert 'id="models"' not in (folder / "report.html").read_text(encoding="utf-8")


def test_bootstrap_draws_are_repeatable(make):
    folder = make(rows_of(("a", "b", "c"), 60))
    one, other = (facts(folder, "--votes", "data", "--bootstrap", "100") for _ in range(2))
    assert one == other
    assert all(row["bootstrap"][0] < row["score"]["value"] < row["bootstrap"][1] for row in one["tables"][0]["rows"])
    assert invoke(folder, "--bootstrap", "3").exit_code == 2


def test_a_campaign_that_never_ran_and_a_folder_that_is_none(make, tmp_path):
    folder = make(rows_of(("a", "b"), 4))
    other = CliRunner().invoke(cli, ["annotators", str(folder)])
    assert invoke(folder).exit_code == other.exit_code == 6
    assert invoke(tmp_path / "nothing").exit_code == 2


@pytest.mark.shared
def test_the_shared_answers_have_the_scores_of_choix(make, shared_folder):
    """All human votes, empty answers included, a tie half a win of each, strengths that sum to one."""
    choix = pytest.importorskip("choix")
    path = shared_folder / "data" / "llmfao_crowd.jsonl.gz"
    folder = make([], data={"source": "jsonl", "path": str(path)})
    found = facts(folder, "--votes", "data")
    (table,) = found["tables"]
    assert (found["votes"], len(table["rows"]), table["annotators"], table["prompts"]) == (8931, 59, 124, 13)
    assert found["ignored"] == {"by a judge": 4278}
    with gzip.open(path, "rt", encoding="utf-8") as file:
        pairs = [json.loads(line) for line in file]
    names = sorted({pair[key] for pair in pairs for key in ("model_a", "model_b")})
    wins = np.zeros((59, 59))
    for pair in pairs:
        a, b = names.index(pair["model_a"]), names.index(pair["model_b"])
        for vote in pair["annotations"]:
            points = {"a": 1.0, "b": 0.0, "tie": 0.5}[vote["preference"]]
            if vote["type"] == "human":
                wins[a, b] += points
                wins[b, a] += 1 - points
    strength = np.exp(choix.ilsr_pairwise_dense(wins, tol=1e-13))
    ours = {row["model"]: row["strength"] for row in table["rows"]}
    assert [ours[name] for name in names] == pytest.approx((strength / strength.sum()).tolist(), abs=1e-9)
    assert table["gradient"] < 1e-10
    assert table["rows"][0]["model"] == "GPT 4"
