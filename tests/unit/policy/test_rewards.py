"""The conservative reward: what is optimised, and what is refused."""

import numpy as np
import pytest
from policy_toys import toy_corpus

from pairloop.errors import ContractViolation, Diverged
from pairloop_policy.rewards import conservative


class Fixed:
    def __init__(self, mean, std):
        self.mean, self.std = mean, std

    def score(self, responses):
        return np.array(self.mean), np.array(self.std)


def test_uncertainty_is_taken_off_k_times():
    found = conservative(Fixed([1.0, 2.0], [0.5, 2.0]), toy_corpus()[:2], 1.5)
    assert found.value.tolist() == [0.25, -1.0]
    assert found.mean.tolist() == [1.0, 2.0]
    assert found.std.tolist() == [0.5, 2.0]


@pytest.mark.parametrize(("mean", "std"), [([np.nan, 0], [1, 1]), ([0, 0], [1, np.inf]), ([np.inf, 0], [1, 1])])
def test_a_score_that_is_not_finite_is_named(mean, std):
    with pytest.raises(Diverged, match="1 of 2 sampled responses"):
        conservative(Fixed(mean, std), toy_corpus()[:2], 1.0)


def test_scores_that_do_not_fit_the_responses_are_refused():
    with pytest.raises(ContractViolation, match="for 2 responses"):
        conservative(Fixed([[0.0], [0.0]], [1.0, 1.0]), toy_corpus()[:2], 1.0)
