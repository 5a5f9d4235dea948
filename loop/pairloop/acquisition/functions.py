"""What one vote on a pair is worth: entropy, BALD and Fisher information.

All take margins and their posterior variances, ignore the sign of the margin (which side is left says nothing), and
are evaluated on |margin|, so that swapping sides changes no bit of the result.

- entropy: Lewis & Gale 1994; of the predictive distribution of a decisive vote.
- BALD: Houlsby et al. 2011, H[E p] − E[H p]; the information of a vote about the parameters.
- Fisher information of a vote with ties (Davidson 1970) and flips, its expectation over the margin's posterior.
"""

from collections.abc import Callable

import numpy as np
from scipy.special import entr, expit, ndtr

from pairloop.acquisition.geometry import Float64Array, conditioning, differences
from pairloop.acquisition.keys import canonical
from pairloop.acquisition.quadrature import gaussian_mean
from pairloop.posterior import FloatArray, IntArray, PreferencePosterior

_CHUNK = 8_192  # elements at a time: the temporaries of the quadrature stay in the cache
_PROBIT = np.sqrt(np.pi / 8.0)  # slope that matches Φ to the logistic curve at 0


def entropy(posterior: PreferencePosterior, pairs: IntArray) -> FloatArray:
    """Entropy of the next decisive vote, in nats, in [0, ln 2]: (N, 2) → (N,).

    Mixes what the model does not know with what annotators disagree about; it is drawn to near-ties for ever.
    """
    p = posterior.probability(pairs)
    likelier = np.minimum(p, 1.0 - p)
    return np.asarray(entr(likelier) + entr(1.0 - likelier))


def bald(posterior: PreferencePosterior, pairs: IntArray) -> FloatArray:
    """Mutual information between the next decisive vote and the reward, in nats, in [0, ln 2]: (N, 2) → (N,)."""
    margin = np.abs(posterior.margin(pairs)) / posterior.temperature
    variance = posterior.variance(pairs) / posterior.temperature**2
    return _in_chunks(lambda m, v: mutual_information(m, v, posterior.flip_rate), margin, variance)


def mutual_information(margin: FloatArray, variance: FloatArray, flip_rate: float, count: int = 15) -> FloatArray:
    """H[E p] − E[H p] for a margin ~ N(margin, variance) and votes that flip with probability ``flip_rate``.

    ``(N,), (N,) → (N,)``, in nats, within 3e-5 of the integral at the default 15 nodes; never negative.
    """
    margin = np.abs(margin)
    certain = float(entr(flip_rate) + entr(1.0 - flip_rate))  # the entropy that is left when the margin is known

    def logistic_less_probit(x: FloatArray) -> FloatArray:
        return np.asarray(expit(x) - ndtr(_PROBIT * x))

    def entropy_above_certain(x: FloatArray) -> FloatArray:
        p = (1.0 - 2.0 * flip_rate) * expit(-np.abs(x)) + flip_rate
        return np.asarray(entr(p) + entr(1.0 - p) - certain)

    # E[Φ] is known in closed form, and what is left of the logistic curve dies out.
    probit = ndtr(-_PROBIT * margin / np.sqrt(1.0 + _PROBIT**2 * variance))
    mean = (1.0 - 2.0 * flip_rate) * (
        probit + gaussian_mean(logistic_less_probit, -margin, variance, count)
    ) + flip_rate
    mean = np.clip(mean, 0.0, 1.0)
    total = entr(mean) + entr(1.0 - mean)
    return np.asarray(np.maximum(total - certain - gaussian_mean(entropy_above_certain, margin, variance, count), 0.0))


def vote_information(margin: FloatArray, flip_rate: float = 0.0, tie: float = 0.0) -> FloatArray:
    """Fisher information of one vote (left, right or tie) about the margin: (N,) → (N,), at most ¼.

    Davidson's model with ν = ``tie``; decisive votes flip with probability ``flip_rate``. With neither it is
    p(1 − p); without ties it equals `PreferencePosterior.information`.
    """
    half = np.exp(-0.5 * np.abs(margin))
    scale = 1.0 / (1.0 + half * half + tie * half)
    win, lose, draw = scale, half * half * scale, tie * half * scale
    slant = 0.5 * (win - lose)  # E[s], s = ½, −½, 0 for a win, a loss, a tie: dP/dm = P (s − E[s])
    d_win, d_lose = win * (0.5 - slant), -lose * (0.5 + slant)
    kept = 1.0 - flip_rate
    seen_win, seen_lose = kept * win + flip_rate * lose, kept * lose + flip_rate * win
    slope_win, slope_lose = kept * d_win + flip_rate * d_lose, kept * d_lose + flip_rate * d_win
    decisive = slope_win**2 / seen_win + slope_lose**2 / np.maximum(seen_lose, 1e-300)
    return np.asarray(decisive + draw * slant * slant)


def expected_information(
    posterior: PreferencePosterior, margin: FloatArray, variance: FloatArray, count: int = 9
) -> FloatArray:
    """Fisher information of the next vote about the margin, averaged over the margin's posterior.

    ``(N,), (N,) → (N,)``. Plugging in the mean margin (``count`` = 0) takes a young model at its word: a pair that
    the model calls 99:1 by extrapolation looks worthless, and a pair that happens to be at 50:50 looks ideal.

    Args:
        posterior: gives flip rate, tie parameter and temperature.
        margin: posterior mean margins, uncalibrated.
        variance: their posterior variances.
        count: quadrature nodes; 0 evaluates at the mean.
    """
    t = posterior.temperature

    def information(m: FloatArray) -> FloatArray:
        return vote_information(m, posterior.flip_rate, posterior.tie)

    def block(m: FloatArray, v: FloatArray) -> FloatArray:
        return gaussian_mean(information, m, v, count) if count else information(m)

    return _in_chunks(block, np.abs(margin) / t, variance / t**2) / t**2


def used_in_flight(posterior: PreferencePosterior, pending: IntArray, count: int = 9) -> Float64Array:
    """Directions U (K, D) that the pairs in flight (M, 2) have used up, as `geometry.conditioning` gives them.

    Pairs without finite coordinates use up nothing. ``count`` as in `expected_information`.
    """
    pairs = canonical(pending)
    z = differences(posterior.whitened, pairs)
    variance = np.einsum("nd,nd->n", z, z)
    information = expected_information(posterior, posterior.margin(pairs), variance, count)
    usable = np.isfinite(variance * information)
    return conditioning(z[usable], information[usable])


def _in_chunks(
    function: Callable[[FloatArray, FloatArray], FloatArray], margin: FloatArray, variance: FloatArray
) -> FloatArray:
    out = np.empty(len(margin))
    for start in range(0, len(margin), _CHUNK):
        part = slice(start, start + _CHUNK)
        out[part] = function(margin[part], variance[part])
    return out
