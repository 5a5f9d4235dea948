"""Single votes again: margin sampling, the disagreement of an ensemble, and noise added on purpose (PowerBALD).

- margin: Scheffer, Decomain & Wrobel 2001; the difference of the two outcomes' probabilities at the posterior mean.
- ensemble variance: Christiano et al. 2017 ask where the members' predicted preferences vary most. The posterior
  stands for the ensemble here: the variance of the win probability over it is what infinitely many members would show.
- PowerBALD: Kirsch et al. 2021; the best n by BALD are near-copies of each other, a sample of the good ones is not.
"""

from dataclasses import dataclass, field

import numpy as np
from pydantic import Field
from scipy.special import expit, ndtr

from pairloop.acquisition import request
from pairloop.acquisition.batch import best
from pairloop.acquisition.functions import bald
from pairloop.acquisition.geometry import chunks
from pairloop.acquisition.keys import canonical, uniforms
from pairloop.acquisition.quadrature import gaussian_mean
from pairloop.kit.options import Options
from pairloop.kit.seeds import derive_seed
from pairloop.kit.threads import numeric_threads
from pairloop.posterior import FloatArray, IntArray, PreferencePosterior
from pairloop.protocols import Selection, SelectionContext

_PROBIT = np.sqrt(np.pi / 8.0)
_NODES = 15


def margin(posterior: PreferencePosterior, pairs: IntArray) -> FloatArray:
    """1 − |P(left) − P(right)| at the posterior mean, in [0, 1]: (N, 2) → (N,); 1 for a pair predicted to be a tie.

    `entropy` uses the moderated probability instead, so the two rank differently where uncertainty differs.
    """
    return np.asarray(2.0 * expit(-np.abs(posterior.margin(pairs)) / posterior.temperature))


def ensemble_variance(posterior: PreferencePosterior, pairs: IntArray) -> FloatArray:
    """Posterior variance of the probability that left wins, in [0, ¼]: (N, 2) → (N,).

    Var σ = E σ (1 − E σ) − E[σ(1 − σ)], by quadrature within 1e-4; flips scale it by (1 − 2ε)².
    """
    mean = np.abs(posterior.margin(pairs)) / posterior.temperature
    variance = posterior.variance(pairs) / posterior.temperature**2
    out = np.empty(len(pairs))
    for part in chunks(len(pairs), 16):
        out[part] = _win_variance(mean[part], variance[part])
    return (1.0 - 2.0 * posterior.flip_rate) ** 2 * out


def _win_variance(mean: FloatArray, variance: FloatArray) -> FloatArray:
    def logistic_less_probit(x: FloatArray) -> FloatArray:
        return np.asarray(expit(x) - ndtr(_PROBIT * x))

    def slope(x: FloatArray) -> FloatArray:
        return np.asarray(expit(x) * expit(-x))

    probit = ndtr(-_PROBIT * mean / np.sqrt(1.0 + _PROBIT**2 * variance))
    lose = probit + gaussian_mean(logistic_less_probit, -mean, variance, _NODES)
    return np.asarray(np.maximum(lose * (1.0 - lose) - gaussian_mean(slope, mean, variance, _NODES), 0.0))


class PowerBaldOptions(Options):
    """Options of PowerBALD."""

    beta: float = Field(default=4.0, gt=0.0)
    """Coldness: pairs are drawn with odds BALD^beta; 1 is the paper's default, large values approach plain BALD."""


@dataclass(frozen=True, slots=True)
class PowerBaldStrategy:
    """The n largest of ``log(BALD / cost) + Gumbel/β``: a draw without replacement with odds ``(BALD / cost)^β``.

    A score is that noisy logarithm. Propensities are NaN: chances of inclusion have no closed form beyond one draw.
    """

    options: PowerBaldOptions = field(default_factory=PowerBaldOptions)

    def select(self, context: SelectionContext, n: int) -> Selection:
        """Up to ``n`` picks; see `pairloop.protocols.BatchStrategy`."""
        request.check(context, n)
        if not n or not len(context.candidates):
            return request.empty()
        with numeric_threads(), np.errstate(divide="ignore", invalid="ignore"):
            worth = np.log(bald(context.posterior, canonical(context.candidates)) / context.cost)
            noise = -np.log(-np.log(uniforms(context.candidates, derive_seed(context.seed, "gumbel"))))
            worth = worth + noise / self.options.beta
        picks = best(worth, context, n)
        return request.selection(picks, worth[picks])
