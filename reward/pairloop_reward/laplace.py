"""Linear algebra of the Laplace posterior: a careful Cholesky factor and whitened response coordinates."""

import numpy as np
from scipy.linalg import LinAlgError, cho_solve, solve_triangular
from scipy.linalg import cholesky as scipy_cholesky

from pairloop.errors import Diverged
from pairloop.posterior import FloatArray
from pairloop_reward.likelihood import Float64

_JITTERS = (0.0, 1e-8, 1e-7, 1e-6, 1e-5, 1e-4)


def cholesky(H: Float64) -> Float64:
    """Lower factor of a symmetric matrix; jitter of 1e-8 … 1e-4 of the mean diagonal is tried before giving up.

    Raises:
        Diverged: an entry is not finite, or the matrix is not positive definite even with jitter.
    """
    if not np.isfinite(H).all():
        raise Diverged("the posterior precision is not finite", "A feature or a weight of a vote is not finite.")
    mean_diagonal = float(np.trace(H)) / len(H)
    for jitter in _JITTERS:
        try:
            return np.asarray(scipy_cholesky(H + jitter * mean_diagonal * np.eye(len(H)), lower=True))
        except LinAlgError:
            continue
    raise Diverged(
        "the posterior precision is not positive definite",
        "Features are nearly collinear and the prior is too weak; fewer dimensions help.",
    )


def log_determinant(factor: Float64) -> float:
    """log det of the matrix with this Cholesky factor."""
    return 2.0 * float(np.log(np.diag(factor)).sum())


def marginal_precision(H: Float64, nuisance: int) -> Float64:
    """Precision of the leading parameters with the last ``nuisance`` integrated out (Schur complement)."""
    d = len(H) - nuisance
    cross = H[:d, d:]
    return np.asarray(H[:d, :d] - cross @ cho_solve((cholesky(H[d:, d:]), True), cross.T))


def whiten(features: FloatArray, factor: Float64) -> Float64:
    """(R, d) coordinates ``L⁻¹ψ``: inner products are posterior covariances of rewards, for H = L Lᵀ."""
    return np.asarray(solve_triangular(factor, features.T.astype(np.float64), lower=True).T, order="C")
