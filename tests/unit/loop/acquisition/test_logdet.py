"""The default strategy against a textbook implementation, and what it promises about ties, flight and outliers."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from dense import dense_greedy

from pairloop.acquisition.functions import expected_information
from pairloop.acquisition.keys import canonical
from pairloop.acquisition.logdet import LogdetStrategy
from pairloop.testing.fakes import fake_context


def reference(context, n, nodes=9):
    """What `LogdetStrategy` should pick after the first fit with leverage 1."""
    posterior = context.posterior
    whitened = posterior.whitened.astype(np.float64)

    def parts(pairs):
        pairs = canonical(pairs)
        z = whitened[pairs[:, 0]] - whitened[pairs[:, 1]]
        variance = posterior.variance(pairs)
        return z, expected_information(posterior, posterior.margin(pairs), variance, nodes)

    z, information = parts(context.candidates)
    prompt = context.prompt[context.candidates[:, 0]]
    return dense_greedy(
        z, information, context.candidates, n, cost=context.cost, prompt=prompt,
        cap=context.per_prompt, seed=context.seed, pending=list(zip(*parts(context.pending), strict=True)),
    )  # fmt: skip


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("per_prompt", [0, 1, 2])
@pytest.mark.parametrize("pending", [0, 5, 40])
def test_picks_equal_those_of_the_dense_algorithm(seed, per_prompt, pending):
    context = fake_context(60, 5, 12, seed=seed, per_prompt=per_prompt, pending=pending)
    expected, gains = reference(context, 80)
    got = LogdetStrategy().select(context, 80)
    assert got.picks.tolist() == expected.tolist()
    np.testing.assert_allclose(got.scores, gains, rtol=1e-9)
