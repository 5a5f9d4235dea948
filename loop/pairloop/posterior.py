"""The posterior over rewards that every selection method reads.

A reward model delivers, for R responses, the posterior mean of the reward and coordinates ``g`` with
``Cov(r_i, r_j) = g_i · g_j``. The variance of a margin is then ``‖g_i − g_j‖²`` exactly, with no bound and no
R × R matrix: for a Laplace posterior with precision ``H = L Lᵀ`` the coordinates are ``L⁻¹ φ``; for an ensemble
of E members they are the centred member rewards over ``√(E−1)``. (Whitening responses instead of pairs:
Das et al. 2024 write the same quantity as ``‖φ_i − φ_j‖_{H⁻¹}``.)
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

FloatArray = NDArray[np.floating]
IntArray = NDArray[np.integer]

_CHUNK = 65_536  # pairs a block: (chunk, D) float32 stays near the cache


@dataclass(frozen=True, slots=True)
class PreferencePosterior:
    """Joint Gaussian posterior over the rewards of R responses.

    Attributes:
        mean: (R,) posterior mean rewards.
        whitened: (R, D) coordinates whose inner products are the posterior covariances.
        flip_rate: probability that a decisive vote says the opposite, in [0, 0.5).
        tie: Davidson's ν ≥ 0; the odds of a tie at equal rewards are ν/2.
        temperature: T > 0; calibrated log-odds are the margin over T.
        fitted: False for the prior (no vote seen yet).
    """

    mean: FloatArray
    whitened: FloatArray
    flip_rate: float = 0.0
    tie: float = 0.0
    temperature: float = 1.0
    fitted: bool = True
    notes: dict[str, float] = field(default_factory=dict)

    def margin(self, pairs: IntArray) -> FloatArray:
        """Posterior mean of r_left − r_right for (N, 2) row pairs → (N,)."""
        return np.asarray(self.mean[pairs[:, 0]] - self.mean[pairs[:, 1]])

    def variance(self, pairs: IntArray) -> FloatArray:
        """Exact posterior variance of the margin, ``‖g_i − g_j‖²``, for (N, 2) row pairs → (N,)."""
        out = np.empty(len(pairs), dtype=np.float64)
        for start in range(0, len(pairs), _CHUNK):
            block = pairs[start : start + _CHUNK]
            delta = self.whitened[block[:, 0]] - self.whitened[block[:, 1]]
            out[start : start + _CHUNK] = np.einsum("nd,nd->n", delta, delta)
        return out

    def probability(self, pairs: IntArray, *, calibrated: bool = True) -> FloatArray:
        """P(left preferred | the vote is decisive) for (N, 2) row pairs → (N,).

        The margin is moderated by its variance (MacKay 1992: κ = 1/√(1 + πσ²/8)), divided by the temperature when
        ``calibrated``, and mixed with the flip rate.
        """
        moderated = self.margin(pairs) / np.sqrt(1.0 + np.pi * self.variance(pairs) / 8.0)
        p = expit(moderated / (self.temperature if calibrated else 1.0))
        return np.asarray((1.0 - 2.0 * self.flip_rate) * p + self.flip_rate)

    def information(self, pairs: IntArray) -> FloatArray:
        """Fisher information of one decisive vote about the margin, flips included, (N, 2) → (N,).

        With P = (1−2ε)p + ε it is ``(1−2ε)² p²(1−p)² / (P(1−P))``, which is ``p(1−p)`` at ε = 0.
        """
        p = expit(self.margin(pairs))
        observed = (1.0 - 2.0 * self.flip_rate) * p + self.flip_rate
        slope = (1.0 - 2.0 * self.flip_rate) * p * (1.0 - p)
        return np.asarray(slope**2 / np.maximum(observed * (1.0 - observed), 1e-300))
