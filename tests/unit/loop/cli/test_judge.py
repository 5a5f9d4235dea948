"""The judge from the command line: doctor, dry run, status, and a key that is nowhere afterwards."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.endpoint import Endpoint, Reply, chat, serving

from pairloop.store import Store

from .conftest import make_campaign

KEY = "sk-cli-abcdefghijklmnopqrstuvwxyz0123"


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[Endpoint]:
    """Prefers the longer response, and repeats the key in everything it says otherwise."""

    def answer(request: dict) -> Reply:
        user = request["messages"][-1]["content"]
        left = user.partition("response A begins")[2].partition("response A ends")[0]
        right = user.partition("response B begins")[2].partition("response B ends")[0]
        return chat("A" if len(left) > len(right) else "B" if len(right) > len(left) else f"{KEY}?")

    monkeypatch.setenv("JUDGE_KEY", KEY)
    with serving() as made:
        made.default = answer
        yield made


@pytest.fixture
def judged(tmp_path: Path, endpoint: Endpoint) -> Path:
    options = {
        "model": "m", "base_url": endpoint.url, "api_key_env": "JUDGE_KEY", "tries": 1, "price_in": 1.0,
        "price_out": 4.0, "concurrency": 3,
    }  # fmt: skip
    return make_campaign(
        tmp_path / "campaign", judge={"kind": "openai", "name": "mini", "extra": 5, "budget": 5.0, "options": options}
    )


def test_doctor_asks_one_question(judged, endpoint, invoke) -> None:
    result = invoke("doctor", judged)
    assert result.exit_code == 0, result.output
    assert "ok    judge: judge:mini:" in result.output
    assert KEY not in result.output
    assert len(endpoint.requests) == 1


@pytest.mark.parametrize(
    ("reply", "code", "text"),
    [
        (Reply({"error": {"message": f"Incorrect API key provided: {KEY}"}}, 401), 4, "does not accept the key"),
        (chat("What a nice question!"), 4, "no usable answer"),
        (Reply(b"oops", 502), 4, "cannot be asked"),
    ],
)
def test_doctor_says_what_is_wrong_with_the_judge(judged, endpoint, invoke, reply, code, text) -> None:
    endpoint.script = [reply]
    result = invoke("doctor", judged)
    assert result.exit_code == code
    assert text in result.output
    assert KEY not in result.output


def test_doctor_names_the_missing_key(judged, invoke, monkeypatch) -> None:
    monkeypatch.delenv("JUDGE_KEY")
    result = invoke("doctor", judged)
    assert result.exit_code == 2
    assert "the environment variable JUDGE_KEY is empty or not set" in result.output


def test_a_dry_run_tells_the_price_and_asks_nothing(judged, endpoint, invoke) -> None:
    result = invoke("run", judged, "--dry-run", "--json")
    assert result.exit_code == 0, result.output
    would = json.loads(result.stdout)["judge"]
    assert endpoint.requests == []
    assert would["questions"] == 2 * would["pairs"]
    assert would["pairs"] == 9 + 5, "three of the twelve questions are the holdout's"
    assert 0 < would["cost"] < 1
    text = invoke("run", judged, "--dry-run").output
    assert f"about {would['pairs']} pairs: {would['questions']} calls, for" in text


def test_a_run_keeps_the_key_to_itself(judged, endpoint, invoke) -> None:
    """Nothing that the campaign writes or prints holds it, nor any longer piece of it."""
    out = invoke("run", judged, "--json")
    assert out.exit_code == 0, out.output
    status = invoke("status", judged)
    assert "judge " in status.output
    assert "none of them counted as people's" in status.output
    assert invoke("report", judged).exit_code == 0
    facts = json.loads(invoke("status", judged, "--json").stdout)
    assert facts["votes"]["total"] == 24
    assert facts["judge"]["votes"] + facts["judge"]["abstained"] == facts["judge"]["pairs"] > 24
    assert facts["judge"]["consistency"] == 1.0
    assert facts["judge"]["agreement"]["value"] == 1.0
    assert len(endpoint.requests) == 2 * facts["judge"]["pairs"]
    assert 0 < facts["judge"]["cost"] == pytest.approx(len(endpoint.requests) * (100 * 1.0 + 1 * 4.0) / 1e6)
    for said in (out.output, status.output):
        assert KEY[:16] not in said
        assert KEY[-16:] not in said
    for path in judged.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert KEY[:16].encode() not in content, path
            assert KEY[-16:].encode() not in content, path


def test_a_wrong_key_stops_the_run_and_loses_nothing(judged, endpoint, invoke) -> None:
    good, endpoint.default = endpoint.default, lambda _request: Reply({"error": "no"}, 401)
    result = invoke("run", judged)
    assert result.exit_code == 4
    assert "does not accept the key" in result.output
    endpoint.default = good
    assert invoke("run", judged).exit_code == 0


def test_explain_tells_what_the_judge_was_asked_and_said(judged, endpoint, invoke) -> None:
    assert invoke("run", judged).exit_code == 0
    with Store.open_readonly(judged) as store:
        put = store.rounds.judged()[0]
    told = invoke("explain", put.pair_id, judged)
    assert told.exit_code == 0, told.output
    assert "it was put to the judge beside people, in this order" in told.output
    told_in_one_line = " ".join(told.output.split())
    assert re.search(r"judge:mini:\w+ \(model\) said (left|right|tie)", told_in_one_line)
