"""Whitened coordinates against the plain formulas."""

import numpy as np
import pytest

from pairloop.errors import Diverged
from pairloop.posterior import PreferencePosterior
from pairloop_reward.laplace import cholesky, log_determinant, marginal_precision, whiten

RANDOM = np.random.default_rng(0)
ROOT = RANDOM.normal(size=(6, 9))
H = ROOT @ ROOT.T + np.eye(6)


def test_pairwise_variance_is_the_quadratic_form():
    features = RANDOM.normal(size=(5, 6))
    posterior = PreferencePosterior(np.zeros(5), whiten(features, cholesky(H)))
    pairs = np.array([[i, j] for i in range(5) for j in range(i)])
    z = features[pairs[:, 0]] - features[pairs[:, 1]]
    expected = np.einsum("nd,de,ne->n", z, np.linalg.inv(H), z)
    assert posterior.variance(pairs) == pytest.approx(expected)


def test_marginal_precision_is_the_inverse_of_a_block_of_the_covariance():
    assert np.linalg.inv(marginal_precision(H, 2)) == pytest.approx(np.linalg.inv(H)[:4, :4])


def test_log_determinant():
    assert log_determinant(cholesky(H)) == pytest.approx(np.linalg.slogdet(H)[1])


def test_jitter_saves_a_singular_matrix():
    singular = np.ones((3, 3))
    assert np.isfinite(cholesky(singular)).all()


def test_an_indefinite_matrix_fails_loudly():
    with pytest.raises(Diverged, match="not positive definite"):
        cholesky(np.diag([1.0, -1.0]))


def test_nan_fails_loudly():
    with pytest.raises(Diverged, match="not finite"):
        cholesky(np.array([[np.nan]]))
