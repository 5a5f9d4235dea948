"""Aggregation for comparison: our own Crowd-BT by finite differences, and what crowd-kit says where it is installed."""

from functools import partial

import numpy as np
import pytest
from scipy.optimize import approx_fprime

from pairloop.errors import MissingExtra
from pairloop.protocols import Labels
from pairloop.registry import Registry
from pairloop_plugins.crowd import methods
from pairloop_plugins.crowd.noisy_bt import fit_noisy_bt, objective


def votes(seed: int = 0, pairs: int = 120, people: int = 10, spammers: int = 3) -> tuple[Labels, np.ndarray]:
    """Three votes a pair of eight responses in a known order; the first ``spammers`` toss a coin."""
    rng = np.random.default_rng(seed)
    ends = np.array([rng.choice(8, 2, replace=False) for _ in range(pairs)])
    pair = np.repeat(np.arange(pairs), 3)
    owner = np.concatenate([rng.choice(people, 3, replace=False) for _ in range(pairs)])
    right = (ends[pair, 0] < ends[pair, 1]).astype(int)  # the bigger number is better
    wrong = rng.random(len(pair)) < np.where(owner < spammers, 0.5, 0.05)
    choice = np.where(wrong, 1 - right, right)
    return Labels(pair, owner, choice, rng.random(len(pair)) < 0.5, ends[:, 0], ends[:, 1]), ends


def test_the_gradient_of_our_crowd_bt_is_that_of_its_likelihood():
    rng = np.random.default_rng(1)
    left, right, annotator = rng.integers(0, 6, 80), rng.integers(6, 12, 80), rng.integers(0, 5, 80)
    sign = np.where(rng.random(80) < 0.5, 1.0, -1.0)
    x = rng.normal(size=12 + 2 * 5)
    rest = (left, right, sign, annotator, 12, 5)
    numeric = approx_fprime(x, lambda at: objective(at, *rest)[0], 1e-6)
    assert objective(x, *rest)[1] == pytest.approx(numeric, abs=1e-4)


def test_our_crowd_bt_finds_order_skills_and_habits():
    labels, ends = votes()
    got = methods.noisy_bt(labels)
    assert np.mean((got.p_first > 0.5) == (ends[:, 0] > ends[:, 1])) == 1.0
    assert got.skill[:3].max() < got.skill[3:].min()
    rng = np.random.default_rng(2)
    left, right = rng.integers(0, 4, 300), rng.integers(4, 8, 300)
    annotator = np.arange(300) % 3
    chose_left = np.where(annotator == 0, rng.random(300) < 0.9, rng.random(300) < 0.05)
    assert fit_noisy_bt(left, right, chose_left, annotator).habit[0] > 0.8, "who always names the left has a habit"


def test_majority_counts_ties_as_halves():
    labels = Labels(*(np.array(c) for c in ([0, 0, 1, 1], [0, 1, 0, 1], [0, 2, 1, 0], [False] * 4, [0, 2], [1, 3])))
    assert methods.majority(labels).p_first.tolist() == [0.75, 0.5]
    assert np.isnan(methods.majority(labels).skill).all()


def test_every_method_is_a_part_and_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch):
    registry = Registry()
    for name, method in methods.METHODS.items():
        assert registry.spec("aggregator", name, "--compare").factory() is method

    def absent(*_: object, **__: object) -> None:
        raise MissingExtra("not here", "pip install 'pairloop[crowd]'")

    monkeypatch.setattr(methods, "require", absent)
    with pytest.raises(MissingExtra, match="not here"):
        methods._crowdkit()


@pytest.mark.parametrize("name", ["dawid-skene", "glad", "mace"])
def test_crowd_kit_tells_spammers_and_labels(name: str):
    pytest.importorskip("crowdkit", reason="needs the extra crowd")
    labels, ends = votes(pairs=60)
    method = partial(methods.mace, restarts=1) if name == "mace" else methods.METHODS[name]
    got = method(labels)
    assert np.mean((got.p_first > 0.5) == (ends[:, 0] > ends[:, 1])) > 0.9
    assert got.skill[:3].mean() < got.skill[3:].mean() - 0.1


def test_crowd_kits_own_gradient_is_not_that_of_its_likelihood():
    """Of release 1.4.2, as ``docs/annotators.md`` says; when this fails, crowd-kit was mended and the page is old."""
    aggregation = pytest.importorskip("crowdkit.aggregation", reason="needs the extra crowd")
    model = aggregation.NoisyBradleyTerry
    rng = np.random.default_rng(3)
    people, items, n = 3, 5, 60
    data = np.stack([rng.integers(1, 4, n), rng.integers(4, 6, n)], axis=1)
    data = np.concatenate([data, np.where(rng.random(n) < 0.5, data[:, 0], data[:, 1])[:, None]], axis=1)
    owner = rng.integers(0, people, n)
    x = rng.normal(size=1 + items + 2 * people)
    args = (data, owner, items, people, 0.0)
    numeric = approx_fprime(x, lambda at: model._compute_log_likelihood(at, *args), 1e-6)
    analytic = model._compute_gradient(x, *args)
    assert analytic[1:items] == pytest.approx(numeric[1:items], abs=1e-4), "all items but the last are right"
    assert abs(analytic[items] - numeric[items]) > 0.1, "a habit, one place off, overwrites the last item"
    assert np.abs(analytic[items + 1 :] - numeric[items + 1 :]).max() > 0.5, "habits and skills are not right"
    regular = (data, owner, items, people, 1.0)
    plus = approx_fprime(x, lambda at: model._compute_log_likelihood(at, *regular), 1e-6) - numeric
    given = model._compute_gradient(x, *regular) - analytic
    assert given[1:items] == pytest.approx(-plus[1:items], abs=1e-4), "the regulariser has the other sign"


def test_alpha_agrees_with_crowd_kits():
    data = pytest.importorskip("crowdkit.metrics.data", reason="needs the extra crowd")
    import pandas as pd

    from pairloop.annotators.alpha import krippendorff_alpha

    labels, _ = votes(seed=4)
    frame = pd.DataFrame({"task": labels.pair, "worker": labels.annotator, "label": labels.choice})
    counts = np.zeros((len(labels.first), 2), dtype=np.int64)
    np.add.at(counts, (labels.pair, labels.choice), 1)
    found = krippendorff_alpha(counts, np.arange(len(counts)))
    assert found is not None
    assert found.value == pytest.approx(data.alpha_krippendorff(frame), abs=1e-9)
