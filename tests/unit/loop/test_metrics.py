"""Metrics: values against hand-computed ones, and intervals that cover as often as they say."""

import numpy as np
import pytest

from pairloop.errors import UsageError
from pairloop.metrics import (
    accuracy,
    brier,
    clustered_mean,
    ece,
    log_loss,
    log_losses,
    paired_difference,
    reliability,
    spearman,
)

P = np.array([0.9, 0.2, 0.5, 0.6, 0.7])
OUTCOME = np.array([0, 0, 1, 1, 2])
CLUSTER = np.array([0, 0, 1, 1, 1])


def clustered_votes(groups, random, *, calibrated=False, unequal=0.5):
    """Votes whose model is better in some groups than in others, so that observations of a group hang together."""
    sizes = np.maximum(1, (20 * np.exp(random.normal(0, unequal, groups))).astype(int))
    cluster = np.repeat(np.arange(groups), sizes)
    margin = random.normal(0, 1.5, len(cluster))
    quality = np.repeat(random.normal(0, 0.8, groups), sizes)
    truth = 1 / (1 + np.exp(-margin * (1 if calibrated else np.exp(quality - 0.3))))
    outcome = (random.random(len(cluster)) > truth).astype(int)
    sharper, duller = (1 / (1 + np.exp(-slope * margin)) for slope in (1.0 if calibrated else 1.3, 0.7))
    return sharper, duller, outcome, cluster


def test_accuracy_leaves_ties_out_and_gives_half_for_no_opinion():
    estimate = accuracy(P, OUTCOME, CLUSTER)
    assert estimate.value == pytest.approx((1 + 0 + 0.5 + 0) / 4)
    assert (estimate.n, estimate.clusters) == (4, 2)


def test_log_loss_and_brier_of_the_chosen_side():
    chosen = np.array([0.9, 0.2, 0.5, 0.4])
    assert log_loss(P, OUTCOME, CLUSTER).value == pytest.approx(-np.log(chosen).mean())
    assert brier(P, OUTCOME, CLUSTER).value == pytest.approx(((1 - chosen) ** 2).mean())


def test_log_loss_of_a_certain_mistake_is_large_and_finite():
    assert 30 < log_loss(np.array([0.0]), np.array([0]), np.array([0])).value < 40


def test_swapping_the_displayed_sides_changes_nothing():
    p, _, outcome, cluster = clustered_votes(8, np.random.default_rng(0))
    for metric in (accuracy, log_loss, brier, ece):
        one, other = metric(p, outcome, cluster), metric(1 - p, 1 - outcome, cluster)
        assert one.value == pytest.approx(other.value)
        assert one.low == pytest.approx(other.low)


def test_metrics_do_not_depend_on_the_order_of_the_votes():
    p, _, outcome, cluster = clustered_votes(8, np.random.default_rng(1))
    p = p.round(1)  # many equal confidences, which a bin edge could part
    shuffled = np.random.default_rng(2).permutation(len(p))
    for metric in (accuracy, log_loss, brier, ece):
        one, other = metric(p, outcome, cluster), metric(p[shuffled], outcome[shuffled], cluster[shuffled])
        assert one.value == pytest.approx(other.value)
        assert (one.low, one.high) == (pytest.approx(other.low), pytest.approx(other.high))


def test_weights_count_as_repeated_votes():
    weight = np.array([3.0, 1, 1, 2, 5])
    times = weight.astype(int)
    repeated = [np.repeat(column, times) for column in (P, OUTCOME, CLUSTER)]
    one, other = accuracy(P, OUTCOME, CLUSTER, weight), accuracy(*repeated)
    assert (one.value, one.low, one.high) == pytest.approx((other.value, other.low, other.high))


def test_the_interval_is_the_leave_one_cluster_out_jackknife():
    random = np.random.default_rng(3)
    values, cluster = random.normal(size=60), random.integers(0, 6, 60)
    without = np.array([values[cluster != k].mean() for k in range(6)])
    error = np.sqrt(5 / 6 * ((without - values.mean()) ** 2).sum())
    estimate = clustered_mean(values, cluster)
    assert estimate.high - estimate.value == pytest.approx(2.570582 * error, rel=1e-6)  # t(0.975, 5)


def test_one_cluster_has_no_interval():
    for metric in (accuracy, log_loss, brier, ece):
        estimate = metric(P, OUTCOME, np.zeros(5, dtype=int))
        assert (estimate.low, estimate.high, estimate.clusters) == (None, None, 1)


def test_unanimous_clusters_still_leave_doubt():
    estimate = accuracy(np.full(50, 0.9), np.zeros(50, dtype=int), np.repeat(np.arange(10), 5))
    assert estimate.high == 1.0
    assert estimate.low == pytest.approx(0.025 ** (1 / 10))


def test_ties_only_cannot_be_measured():
    with pytest.raises(UsageError, match="no decisive vote"):
        accuracy(np.array([0.5]), np.array([2]), np.array([0]))


@pytest.mark.parametrize("groups", [10, 30])
def test_intervals_of_means_cover(groups):
    large = clustered_votes(20_000, np.random.default_rng(9))
    whole = np.zeros(len(large[2]), dtype=int)
    truth = {
        "accuracy": accuracy(large[0], large[2], whole).value,
        "log_loss": log_loss(large[0], large[2], whole).value,
        "difference": paired_difference(log_losses(large[0], large[2]), log_losses(large[1], large[2]), whole).value,
    }
    random, draws = np.random.default_rng(4), 400
    covered = dict.fromkeys(truth, 0)
    for _ in range(draws):
        sharper, duller, outcome, cluster = clustered_votes(groups, random)
        found = {
            "accuracy": accuracy(sharper, outcome, cluster),
            "log_loss": log_loss(sharper, outcome, cluster),
            "difference": paired_difference(log_losses(sharper, outcome), log_losses(duller, outcome), cluster),
        }
        for name, estimate in found.items():
            covered[name] += estimate.low <= truth[name] <= estimate.high
    # four binomial deviations around the 93–95 % measured with 2,000 draws
    assert all(0.88 < hits / draws < 0.99 for hits in covered.values()), covered


def test_ignoring_the_clusters_would_not_cover():
    random, draws, missed = np.random.default_rng(5), 200, 0
    for _ in range(draws):
        cluster = np.repeat(np.arange(10), 20)
        values = np.repeat(random.normal(size=10), 20) + random.normal(size=200)
        assert (estimate := clustered_mean(values, cluster)).low is not None
        naive = clustered_mean(values, np.arange(200))
        missed += not naive.low <= 0.0 <= naive.high
        assert estimate.high - estimate.low > naive.high - naive.low
    assert missed > 0.3 * draws


@pytest.mark.parametrize("calibrated", [True, False])
def test_calibration_interval_covers_with_and_without_miscalibration(calibrated):
    large = clustered_votes(20_000, np.random.default_rng(9), calibrated=calibrated)
    truth = ece(large[0], large[2], np.zeros(len(large[2]), dtype=int)).value
    random, draws, covered = np.random.default_rng(6), 150, 0
    for draw in range(draws):
        p, _, outcome, cluster = clustered_votes(10, random, calibrated=calibrated)
        estimate = ece(p, outcome, cluster, draws=300, seed=draw)
        covered += estimate.low <= truth + 0.002 and estimate.high >= truth
    assert covered > 0.88 * draws


def test_ece_of_a_known_table():
    p = np.repeat([0.6, 0.9], 10)
    outcome = np.concatenate([[0] * 8 + [1] * 2, [0] * 7 + [1] * 3])
    assert ece(p, outcome, np.zeros(20, dtype=int)).value == pytest.approx((abs(0.6 - 0.8) + abs(0.9 - 0.7)) / 2)
    low, high = reliability(p, outcome)
    assert (low.confidence, low.accuracy, low.n) == (pytest.approx(0.6), pytest.approx(0.8), 10)
    assert (high.confidence, high.accuracy, high.n) == (pytest.approx(0.9), pytest.approx(0.7), 10)


def test_bootstrap_is_seeded():
    p, _, outcome, cluster = clustered_votes(6, np.random.default_rng(7))
    assert ece(p, outcome, cluster, seed=1) == ece(p, outcome, cluster, seed=1)
    assert ece(p, outcome, cluster, seed=1) != ece(p, outcome, cluster, seed=2)


def test_paired_difference_skips_ties_and_sees_the_better_model():
    sharper, duller, outcome, cluster = clustered_votes(40, np.random.default_rng(8), calibrated=True)
    outcome[::7] = 2
    estimate = paired_difference(log_losses(sharper, outcome), log_losses(duller, outcome), cluster)
    assert estimate.n == int((outcome != 2).sum())
    assert estimate.high < 0


def test_spearman_knows_ranks_ties_and_constants():
    scores, cluster = np.arange(12.0), np.arange(12) // 3
    assert spearman(scores, np.exp(scores), cluster).value == pytest.approx(1.0)
    assert spearman(scores, -scores, cluster).value == pytest.approx(-1.0)
    assert spearman(np.ones(12), scores, cluster).value == 0.0
    assert spearman(np.array([1.0, 2, 2, 3]), np.array([1.0, 3, 2, 4]), np.zeros(4)).value == pytest.approx(0.9486833)
    noisy = spearman(scores, scores + np.tile([3.0, -3, 0, 5], 3), cluster, seed=3)
    assert noisy.low < noisy.value < noisy.high
