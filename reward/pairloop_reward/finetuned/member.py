"""One member of the ensemble: a trained network, the map of its last layer, and the head fitted on it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pairloop.kit.threads import numeric_threads
from pairloop.posterior import FloatArray
from pairloop.protocols import TrainingData
from pairloop.records import ResponseView
from pairloop_reward.finetuned.lastlayer import LastLayer, fit_last_layer
from pairloop_reward.finetuned.network import Network
from pairloop_reward.finetuned.states import States
from pairloop_reward.finetuned.trust import Trust
from pairloop_reward.head import HeadFit
from pairloop_reward.laplace import cholesky, marginal_precision, whiten
from pairloop_reward.likelihood import Float64, Votes
from pairloop_reward.search import choose

TAUS = (1.0, 0.7)
"""Prior standard deviation of a typical margin due to the network's own reward, and to other directions."""


@dataclass(slots=True)
class Member:
    """What predicts.

    Attributes:
        weights: (d,) of the last layer; the network's own head is the same in float32.
        layer: features of the posterior. factor: (k, k) lower Cholesky factor of its precision.
    """

    network: Network
    states: States
    weights: Float64
    layer: LastLayer
    factor: Float64

    def predict(self, responses: Sequence[ResponseView], *, remember: bool) -> tuple[Float64, Float64]:
        """(R,) mean rewards, and (R, k) coordinates whose inner products are their covariances."""
        hidden, _ = self.states.of(responses, remember=remember)
        with numeric_threads():
            mean = hidden.astype(np.float64) @ self.weights
            return mean, whiten(self.layer.features(hidden), self.factor)


@dataclass(frozen=True, slots=True)
class Fitted:
    """A head on a last layer: the votes as it saw them, the fit, prior margins of the two blocks."""

    votes: Votes
    fit: HeadFit
    taus: tuple[float, ...]


def fit_member_head(layer: LastLayer, hidden: FloatArray, data: TrainingData, trust: Trust) -> Fitted:
    """The head at the best prior strength; flips and offsets are those of the joint fit.

    Raises:
        Diverged: the fit does not converge.
    """
    features = layer.features(hidden)
    difference = features[data.left] - features[data.right]
    votes = Votes(difference, data.outcome, trust.weight, trust.flip, trust.offset)
    with numeric_threads():
        chosen = choose(votes, data.group, layer.blocks, TAUS, trust.flip_rate)
    return Fitted(votes, chosen.fit, chosen.taus)


def first_head(network: Network, hidden: FloatArray, data: TrainingData, trust: Trust, k: int) -> Float64:
    """(d,) where the head of training starts: the linear fit on the pretrained network's last layer.

    From a random head, the first steps would push noise into the network (Kumar et al. 2022, "Fine-tuning can distort
    pretrained features"). A network that is a reward model already has its own reward among the features of the fit.
    """
    own = network.head.weight[0].detach().cpu().numpy() if network.headed else None
    layer = fit_last_layer(hidden, data.responses, data.trainable, own, max(k, 1))
    if not layer.matrix.shape[1]:
        return np.zeros(hidden.shape[1])
    return layer.weights(fit_member_head(layer, hidden, data, trust).fit.weights)


def posterior_factor(fit: HeadFit) -> Float64:
    """Factor of the precision of the weights, with position bias and ties integrated out."""
    return cholesky(marginal_precision(fit.precision, 2))
