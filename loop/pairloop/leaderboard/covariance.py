"""How far the scores would move had other people, and other prompts, been asked: two-way clustered jackknife.

Votes of one annotator, and votes on one prompt, hang together. The variance is that of Cameron, Gelbach & Miller
(2011, "Robust inference with multiway clustering"), V = V_annotator + V_prompt − V_both. The first two are cluster
jackknives (CV3; MacKinnon, Nielsen & Webb 2023, "Leverage, influence, and the jackknife in clustered regression
models"), which a sandwich falls short of when clusters are few or unequal; leaving one cluster out is one Newton step
from the maximum, ``(H − H_g)⁻¹ s_g``. Their factor (G − 1)/G is left out, which errs on the side of wider intervals
(as HC3 does). Where V is smaller than one of its parts, which is noise, the larger is taken.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve

from pairloop.leaderboard.fit import Fit
from pairloop.leaderboard.graph import linked
from pairloop.posterior import FloatArray, IntArray
from pairloop.protocols import BoolArray

_EXACT = 400  # clusters that are left out with their own Hessian; the small ones share the full one
_SINGULAR = 1e-6  # of the smallest pivot of H − H_g, relative to that of H; pivots are square roots of rounding errors


@dataclass(frozen=True, slots=True)
class LeftOut:
    """(G, P) change of the parameters when a cluster is left out; (M,) True for models that rest on one cluster."""

    steps: FloatArray
    alone: BoolArray


@dataclass(frozen=True, slots=True)
class Spread:
    """The sampling variance of a fit.

    Attributes:
        covariance: (P, P). degrees: (M,) of freedom of each score: clusters that have votes about the model, the fewer
            of annotators and prompts, less one; 0 where there is no interval. overall: of the whole table.
        by_annotator: what leaving out each annotator changes, where there are two or more.
    """

    covariance: FloatArray
    degrees: IntArray
    overall: int
    by_annotator: LeftOut


def leave_out(fit: Fit, cluster: IntArray, clusters: int) -> LeftOut:
    """One Newton step from the maximum for each cluster left out."""
    problem = fit.problem
    residual, information = problem.residual(fit.at), problem.information(fit.at)
    scores, hessian = problem.scores(residual, cluster, clusters), problem.hessian(fit.at)
    full = cho_factor(hessian)
    steps = -np.asarray(cho_solve(full, scores.T).T)
    smallest = float(np.min(np.diag(full[0])))
    order = np.argsort(cluster, kind="stable")
    edges = np.searchsorted(cluster[order], np.arange(clusters + 1))
    alone = np.zeros(problem.models, dtype=bool)
    for g in np.argsort(-np.diff(edges), kind="stable")[:_EXACT].tolist():
        rows = order[edges[g] : edges[g + 1]]
        try:
            factor = cho_factor(hessian - problem.curvature(information, rows))
            if float(np.min(np.diag(factor[0]))) < _SINGULAR * smallest:
                raise LinAlgError
        except LinAlgError:  # without this cluster the votes do not determine all scores: its step stays the small one
            rest = np.ones(len(problem.a), dtype=bool)
            rest[rows] = False
            alone |= ~linked(problem.a[rest], problem.b[rest], problem.models)
            continue
        steps[g] = -cho_solve(factor, scores[g])
    return LeftOut(steps, alone)


def spread(fit: Fit, annotator: IntArray, prompt: IntArray) -> Spread | None:
    """Variance and degrees of freedom; None where all votes are of one annotator on one prompt."""
    _, annotator = np.unique(annotator, return_inverse=True)
    _, prompt = np.unique(prompt, return_inverse=True)
    sizes = int(annotator.max()) + 1, int(prompt.max()) + 1
    people, texts = leave_out(fit, annotator, sizes[0]), leave_out(fit, prompt, sizes[1])
    used = [(size, cluster) for size, cluster in zip(sizes, (annotator, prompt), strict=True) if size > 1]
    if not used:
        return None
    one_way = [_jackknife(left) for left, size in zip((people, texts), sizes, strict=True) if size > 1]
    found = max([*one_way, _two_way(fit, annotator, prompt, one_way)], key=lambda v: float(np.trace(v)))
    degrees = np.min([_clusters_of(fit, cluster) for _, cluster in used], axis=0) - 1
    for left, size in zip((people, texts), sizes, strict=True):
        if size > 1:
            degrees[left.alone] = 0
    degrees[fit.problem.pseudo] = 0
    return Spread(found, degrees, min(size for size, _ in used) - 1, people)


def _jackknife(left: LeftOut) -> FloatArray:
    return np.asarray(left.steps.T @ left.steps)


def _two_way(fit: Fit, annotator: IntArray, prompt: IntArray, one_way: list[FloatArray]) -> FloatArray:
    """V_annotator + V_prompt − V_both, made positive semi-definite; one of them where there is only one."""
    if len(one_way) == 1:
        return one_way[0]
    _, both = np.unique(np.stack([annotator, prompt]), axis=1, return_inverse=True)
    both = both.ravel()
    n = int(both.max()) + 1
    problem = fit.problem
    scores = problem.scores(problem.residual(fit.at), both, n)
    steps = cho_solve(cho_factor(problem.hessian(fit.at)), scores.T).T
    values, vectors = np.linalg.eigh(one_way[0] + one_way[1] - n / max(n - 1, 1) * steps.T @ steps)
    return np.asarray((vectors * np.maximum(values, 0.0)) @ vectors.T)


def _clusters_of(fit: Fit, cluster: IntArray) -> IntArray:
    """(M,) clusters that have votes about each model."""
    problem = fit.problem
    counted = problem.weight > 0
    ends: Iterable[IntArray] = (problem.a[counted], problem.b[counted])
    pairs = np.concatenate([np.stack([end, cluster[counted]], axis=1) for end in ends])
    return np.bincount(np.unique(pairs, axis=0)[:, 0], minlength=problem.models)
