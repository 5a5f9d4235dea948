"""The model on real human votes, where the shared data folder is there: debates that no training vote came from."""

import gzip
import json
import os
from pathlib import Path

import numpy as np
import pytest

from pairloop.kit.ids import prompt_id, response_id
from pairloop.protocols import ModelContext, TrainingData
from pairloop.records import ResponseView
from pairloop_reward.model import TfidfRewardModel
from pairloop_reward.options import TfidfOptions

SHARED = Path(os.environ.get("PAIRLOOP_SHARED", Path(__file__).parents[4] / "shared"))
ARGUMENTS = SHARED / "data" / "ukpconvarg1_dev.jsonl.gz"
CODES = {"a": 0, "b": 1, "tie": 2}

pytestmark = [
    pytest.mark.shared,
    pytest.mark.skipif(not ARGUMENTS.exists(), reason=f"no shared data at {SHARED}"),
]


@pytest.fixture(scope="module")
def arguments():
    """Responses, and rows (left, right, clean label or None, votes) of the argument pairs."""
    responses, number, rows = [], {}, []
    with gzip.open(ARGUMENTS, "rt") as file:
        for pair in map(json.loads, file):
            prompt = prompt_id(pair["prompt"])
            ends = []
            for text in (pair["response_a"], pair["response_b"]):
                key = response_id(prompt, text)
                if key not in number:
                    number[key] = len(responses)
                    debate = pair["prompt"].split("\n")[0]
                    responses.append(ResponseView(key, prompt, pair["prompt"], text, debate))
                ends.append(number[key])
            label = CODES[pair["gold"]] if pair["in_strict"] else None
            rows.append((*ends, label, [CODES[vote["preference"]] for vote in pair["annotations"]]))
    return responses, rows


def unseen_accuracy(arguments, n, seed):
    """Accuracy on the clean pairs of three debates after ``n`` random single votes on the other nine."""
    responses, rows = arguments
    random = np.random.default_rng(seed)
    debates = sorted({response.group for response in responses})
    group = np.array([debates.index(response.group) for response in responses])
    trainable = ~np.isin(group, random.permutation(len(debates))[:3])
    votes = np.array([(i, j, vote) for i, j, _, own in rows if trainable[i] for vote in own])
    left, right, outcome = random.permutation(votes)[:n].T
    swap = random.random(n) < 0.5
    data = TrainingData(
        responses, trainable, np.where(swap, right, left), np.where(swap, left, right),
        np.where(swap, np.array([1, 0, 2])[outcome], outcome), np.zeros(n, dtype=int), ("crowd",), np.ones(n),
        group[left], np.ones(n, dtype=bool), np.zeros(n, dtype=bool), np.zeros(n, dtype=int),
    )  # fmt: skip
    model = TfidfRewardModel(TfidfOptions(), ModelContext())
    model.fit(data, seed=seed)
    clean = np.array([(i, j, label) for i, j, label, _ in rows if not trainable[i] and label in (0, 1)])
    margin = model.posterior(responses).margin(clean[:, :2])
    return float(np.mean((margin > 0) == (clean[:, 2] == 0)))


def test_150_votes_are_worth_more_than_length(arguments):
    """Three quarters right after 150 votes: "the longer one wins" has .75 on all pairs, a default fit .61 to .67."""
    assert np.mean([unseen_accuracy(arguments, 150, seed) for seed in range(3)]) > 0.73


def test_more_votes_help(arguments):
    assert np.mean([unseen_accuracy(arguments, 1500, seed) for seed in range(2)]) > 0.76
