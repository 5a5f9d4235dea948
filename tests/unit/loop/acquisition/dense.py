"""Textbook greedy D-optimal design: a D × D covariance, every candidate evaluated before every pick."""

import numpy as np

from pairloop.acquisition.keys import pair_keys


def dense_greedy(z, information, pairs, n, *, cost, prompt, cap=0, seed=0, pending=(), tolerance=1e-9):
    """Picks and gains; ``pending`` is a sequence of (z, information)."""
    covariance = np.eye(z.shape[1])
    for z_m, information_m in pending:
        covariance = downdated(covariance, z_m, information_m)
    is_open = np.ones(len(z), dtype=bool)
    keys = pair_keys(pairs, seed)
    picks, gains = [], []
    while len(picks) < n and is_open.any():
        variance = np.einsum("nd,de,ne->n", z, covariance, z, optimize=True)
        gain = np.where(is_open, np.log1p(information * np.maximum(variance, 0)) / cost, -np.inf)
        tied = np.flatnonzero(gain >= gain.max() * (1 - tolerance)) if gain.max() > 0 else np.flatnonzero(is_open)
        k = int(tied[np.argmin(keys[tied])])
        picks.append(k)
        gains.append(gain[k])
        covariance = downdated(covariance, z[k], information[k])
        is_open[k] = False
        if cap and np.sum(prompt[picks] == prompt[k]) >= cap:
            is_open &= prompt != prompt[k]
    return np.array(picks, dtype=int), np.array(gains)


def downdated(covariance, z, information):
    w = covariance @ z
    return covariance - np.outer(w, w) * (information / (1 + information * (z @ w)))
