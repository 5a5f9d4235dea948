"""The likelihood of votes given scores: Bradley–Terry with ties and covariates.

With ``d = θ_a − θ_b + z·γ``:

* ``half``: a tie is half a win of each, ``log L = s·log σ(d) + (1 − s)·log σ(−d)`` (what published tables use; no
  probability model of ties, but a proper estimating equation).
* ``davidson``: P(a wins) ∝ e^{d/2}, P(b wins) ∝ e^{−d/2}, P(tie) ∝ ν (Davidson 1970, "On extending the
  Bradley-Terry model to accommodate ties", JASA 65).

Both are exponential families in ``(d, log ν)``, so the log-likelihood is concave, its gradient is what was observed
minus what was expected, and its negative Hessian is the variance of that.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.special import expit, logsumexp

from pairloop.posterior import FloatArray, IntArray

Ties = Literal["half", "davidson"]
STYLE_PRECISION = 0.01
"""Of the normal prior of each covariate's effect (standard deviation 10): keeps covariates that say the same apart."""


@dataclass(frozen=True)
class Problem:
    """N votes on M models with K covariates; parameters are (θ (M), γ (K), log ν where ties are Davidson's).

    Attributes:
        a, b, points, weight: (N,), as in `pairloop.leaderboard.ballots.Ballots`. covariates: (N, K).
        anchored: (M,) True for models that the mean-zero condition is about (all, where none is).
        pseudo: (m,) models that get one imaginary tie with the mean of the anchored ones.
    """

    a: IntArray
    b: IntArray
    points: FloatArray
    weight: FloatArray
    covariates: FloatArray
    models: int
    anchored: IntArray
    pseudo: IntArray
    ties: Ties = "half"

    @property
    def size(self) -> int:
        """P, the number of parameters."""
        return int(self.models + self.covariates.shape[1] + (self.ties == "davidson"))

    def difference(self, at: FloatArray) -> FloatArray:
        """(N,) d."""
        gamma = at[self.models : self.models + self.covariates.shape[1]]
        return np.asarray(at[self.a] - at[self.b] + self.covariates @ gamma)

    def value(self, at: FloatArray) -> float:
        """The penalised log-likelihood."""
        d = self.difference(at)
        if self.ties == "half":
            each = self.points * d - np.logaddexp(0.0, d)
        else:
            tied = self.points == 0.5
            each = (self.points - 0.5) * d + tied * at[-1] - _log_normaliser(d, at[-1])
        far = at[self.pseudo] - at[self.anchored].mean()
        gamma = at[self.models : self.models + self.covariates.shape[1]]
        ties = float((0.5 * far - np.logaddexp(0.0, far)).sum())
        return float(self.weight @ each) + ties - 0.5 * STYLE_PRECISION * float(gamma @ gamma)

    def residual(self, at: FloatArray) -> FloatArray:
        """(N, 1 or 2) weighted observed minus expected (points, tied)."""
        d = self.difference(at)
        if self.ties == "half":
            return np.asarray((self.weight * (self.points - expit(d)))[:, None])
        won, lost, tie = _chances(d, at[-1])
        seen = self.points == 0.5
        return np.asarray(self.weight[:, None] * np.stack([self.points - 0.5 - (won - lost) / 2, seen - tie], axis=1))

    def information(self, at: FloatArray) -> FloatArray:
        """(N, 1 or 3) weighted variance of points, and for Davidson's ties (points, both, tied)."""
        d = self.difference(at)
        if self.ties == "half":
            p = expit(d)
            return np.asarray((self.weight * p * (1.0 - p))[:, None])
        won, lost, tie = _chances(d, at[-1])
        mean = (won - lost) / 2
        columns = [(won + lost) / 4 - mean**2, -mean * tie, tie * (1.0 - tie)]
        return np.asarray(self.weight[:, None] * np.stack(columns, axis=1))

    def scores(self, residual: FloatArray, cluster: IntArray, clusters: int) -> FloatArray:
        """(G, P) gradient of each cluster's votes."""
        m = self.models
        out = np.zeros((clusters, self.size))
        np.add.at(out, (cluster, self.a), residual[:, 0])
        np.add.at(out, (cluster, self.b), -residual[:, 0])
        for k in range(self.covariates.shape[1]):
            out[:, m + k] = np.bincount(cluster, residual[:, 0] * self.covariates[:, k], clusters)
        if self.ties == "davidson":
            out[:, -1] = np.bincount(cluster, residual[:, 1], clusters)
        return out

    def curvature(self, information: FloatArray, rows: IntArray | slice = slice(None)) -> FloatArray:
        """(P, P) negative Hessian of the votes of these rows, without prior and imaginary ties."""
        a, b, z, m = self.a[rows], self.b[rows], self.covariates[rows], self.models
        h, out = information[rows], np.zeros((self.size, self.size))
        pairs = np.bincount(a * m + b, h[:, 0], m * m).reshape(m, m)
        pairs = pairs + pairs.T
        out[:m, :m] = np.diag(pairs.sum(axis=1)) - pairs
        columns: list[FloatArray] = [z[:, k] * h[:, 0] for k in range(z.shape[1])]
        if self.ties == "davidson":
            columns.append(h[:, 1])
        for k, column in enumerate(columns):
            out[:m, m + k] = np.bincount(a, column, m) - np.bincount(b, column, m)
        out[m:, :m] = out[:m, m:].T
        k = z.shape[1]
        out[m : m + k, m : m + k] = z.T @ (h[:, :1] * z)
        if self.ties == "davidson":
            out[m : m + k, -1] = out[-1, m : m + k] = z.T @ h[:, 1]
            out[-1, -1] = h[:, 2].sum()
        return out

    def gradient(self, at: FloatArray) -> FloatArray:
        """(P,) of the penalised log-likelihood."""
        everybody = np.zeros(len(self.a), dtype=np.int64)
        out: FloatArray = self.scores(self.residual(at), everybody, 1)[0]
        gamma = slice(self.models, self.models + self.covariates.shape[1])
        out[gamma] -= STYLE_PRECISION * at[gamma]
        far = at[self.pseudo] - at[self.anchored].mean()
        pull = 0.5 - expit(far)
        out[self.pseudo] += pull
        out[self.anchored] -= pull.sum() / len(self.anchored)
        return out

    def hessian(self, at: FloatArray) -> FloatArray:
        """(P, P) negative Hessian of the penalised log-likelihood; the mean of the anchored scores is held."""
        out = self.curvature(self.information(at))
        gamma = range(self.models, self.models + self.covariates.shape[1])
        out[gamma, gamma] += STYLE_PRECISION
        mean = np.zeros(self.size)
        mean[self.anchored] = 1.0 / len(self.anchored)
        for model, p in zip(self.pseudo.tolist(), expit(at[self.pseudo] - at[self.anchored].mean()), strict=True):
            row = -mean
            row[model] += 1.0
            out += p * (1.0 - p) * np.outer(row, row)
        return np.asarray(out + len(self.anchored) * np.outer(mean, mean))


def _log_normaliser(d: FloatArray, eta: float) -> FloatArray:
    return np.asarray(logsumexp(np.stack([d / 2, -d / 2, np.full(len(d), eta)]), axis=0))


def _chances(d: FloatArray, eta: float) -> tuple[FloatArray, FloatArray, FloatArray]:
    """(N,) probabilities that a wins, that b wins, and of a tie."""
    log = _log_normaliser(d, eta)
    return np.exp(d / 2 - log), np.exp(-d / 2 - log), np.exp(eta - log)
