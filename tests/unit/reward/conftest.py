"""Votes and texts that the tests of the reward model share."""

from dataclasses import dataclass

import numpy as np
import pytest

from pairloop.kit.threads import numeric_threads
from pairloop.protocols import TrainingData
from pairloop.records import ResponseView
from pairloop_reward.likelihood import Votes, probabilities


@pytest.fixture(autouse=True)
def one_thread():
    """The pure functions are called outside the model here, and spinning BLAS threads make a busy machine slow."""
    with numeric_threads():
        yield


@dataclass(frozen=True)
class Truth:
    """What simulated annotators follow."""

    weights: np.ndarray
    tie: float = 0.5
    flip_rate: float = 0.0
    bias: float = 0.0


@pytest.fixture
def simulate():
    """Votes drawn from the likelihood itself."""

    def draw(truth, n, seed):
        random = np.random.default_rng(seed)
        difference = random.normal(size=(n, len(truth.weights)))
        p = probabilities(difference @ truth.weights + truth.bias, truth.tie, truth.flip_rate)
        outcome = (random.random(n)[:, None] > np.cumsum(p, axis=1)[:, :2]).sum(axis=1)
        return Votes(difference, outcome, np.ones(n))

    return draw


GOOD = ["because the evidence shows it", "for three clear reasons", "which the study explains in detail"]
BAD = ["lol", "no idea!!!", "whatever"]
TOPICS = ["school", "music", "trains", "bread", "rivers", "tax", "sleep", "chess", "gardens", "winter"]


@pytest.fixture
def pool():
    """Responses to prompts on topics, long good ones and short bad ones, four to a prompt."""

    def make(prompts, seed=0):
        random, responses = np.random.default_rng(seed), []
        for number in range(prompts):
            topic = TOPICS[number % len(TOPICS)]
            for k in range(4):
                good = " ".join(random.permutation(GOOD)[: 1 + k % 3])
                text = f"{topic} matters {good} in case {number}." if k < 2 else f"{topic} {BAD[k - 1]} {number}"
                responses.append(
                    ResponseView(f"r{number}-{k}", f"p{number}", f"Talk about {topic} {number}", text, topic)
                )
        return responses

    return make


@pytest.fixture
def voted(pool):
    """Training data over a pool: longer is better, with noise, ties and every second vote in the random arm."""

    def make(prompts=30, n=300, seed=0, *, noise=0.1, holdout=()):
        random, responses = np.random.default_rng(seed), pool(prompts)
        groups = sorted({response.group for response in responses})
        group = np.array([groups.index(response.group) for response in responses])
        trainable = ~np.isin(group, holdout)
        usable = np.flatnonzero(trainable)
        left = random.choice(usable, n)
        right = left // 4 * 4 + (left % 4 + random.integers(1, 4, n)) % 4
        length = np.array([len(response.text) for response in responses])
        outcome = np.where(length[left] > length[right], 0, 1)
        outcome = np.where(random.random(n) < noise, 1 - outcome, outcome)
        outcome[random.random(n) < 0.1] = 2
        return TrainingData(
            responses=responses, trainable=trainable, left=left, right=right, outcome=outcome,
            annotator=random.integers(0, 3, n), annotators=("ann", "bob", "eve"), weight=np.ones(n),
            group=group[left], control=np.arange(n) % 2 == 0, prelabel_shown=np.zeros(n, dtype=bool),
            round=np.zeros(n, dtype=int),
        )  # fmt: skip

    return make


@pytest.fixture
def truth():
    """A reward of three features, with every kind of noise."""
    return Truth(np.array([1.5, -1.0, 0.0]), tie=0.6, flip_rate=0.15, bias=0.4)
