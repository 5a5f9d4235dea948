"""The built-in strategies keep the contract, and the contract catches strategies that do not."""

import os
import subprocess
import sys
import textwrap
from dataclasses import replace

import numpy as np
import pytest

from pairloop.acquisition import RandomStrategy, plugin
from pairloop.protocols import Selection
from pairloop.testing.strategies import StrategyContract

SPECS = {spec.name: spec for spec in plugin.pairloop_strategies()}

NEWER = ("vopt", "margin", "ensemble_variance", "powerbald", "coreset", "badge", "typiclust", "arm", "epig", "balpm")


def built(name):
    spec = SPECS[name]
    return spec.factory(spec.options() if spec.options else None)


class TestRandom(StrategyContract):
    @pytest.fixture
    def strategy(self):
        return built("random")


class TestEntropy(StrategyContract):
    @pytest.fixture
    def strategy(self):
        return built("entropy")


class TestBald(StrategyContract):
    @pytest.fixture
    def strategy(self):
        return built("bald")


class TestLogdet(StrategyContract):
    @pytest.fixture
    def strategy(self):
        return built("logdet")


class TestLogdetPluggedIn(StrategyContract):
    """Other options: plug-in information, bounded leverage, pairs in flight ignored."""

    @pytest.fixture
    def strategy(self):
        return SPECS["logdet"].factory(SPECS["logdet"].options(nodes=0, leverage=0.9, count_pending=False))


@pytest.mark.parametrize("name", NEWER)
class TestNewer(StrategyContract):
    """The methods from the literature, with their default options."""

    @pytest.fixture
    def strategy(self, name):
        return built(name)


class TestArmAsPublished(StrategyContract):
    @pytest.fixture
    def strategy(self):
        return SPECS["arm"].factory(SPECS["arm"].options(variant="published"))


class TestBalpmAsPublished(StrategyContract):
    @pytest.fixture
    def strategy(self):
        return SPECS["balpm"].factory(SPECS["balpm"].options(variant="published", beta=0.5))


class Broken:
    """A correct strategy and one thing done wrong to its answer or its input."""

    def __init__(self, spoil):
        self.spoil, self.calls = spoil, 0

    def select(self, context, n):
        self.calls += 1
        return self.spoil(self, context, n, RandomStrategy().select(context, n))


def first_n(self, context, n, good):
    return replace(good, picks=np.arange(len(good.picks)))


def signed_margin(self, context, n, good):
    order = np.argsort(-context.posterior.margin(context.candidates))
    return RandomStrategy().select(replace(context, seed=int(order[0]) if len(order) else 0), n)


def global_generator(self, context, n, good):
    return RandomStrategy().select(replace(context, seed=np.random.randint(1000)), n)


def writes(self, context, n, good):
    context.cost[:1] = 1.0
    return good


def stumbles_over_nan(self, context, n, good):
    if np.isnan(context.posterior.mean).any():
        raise ValueError("NaN")
    return good


def takes_the_maximum(self, context, n, good):
    context.posterior.margin(context.candidates).max()
    return good


def drops_worthless(self, context, n, good):
    keep = context.posterior.variance(context.candidates[good.picks]) > 0
    return Selection(good.picks[keep], good.scores[keep], good.propensity[keep])


BROKEN = {
    "repeats a pick": (lambda s, c, n, good: replace(good, picks=good.picks * 0), "selections_are_well_formed"),
    "index beyond": (lambda s, c, n, good: replace(good, picks=good.picks + 80), "selections_are_well_formed"),
    "picks as floats": (lambda s, c, n, good: replace(good, picks=good.picks * 1.0), "selections_are_well_formed"),
    "picks as a list": (lambda s, c, n, good: replace(good, picks=good.picks.tolist()), "selections_are_well_formed"),
    "one score short": (lambda s, c, n, good: replace(good, scores=good.scores[1:]), "selections_are_well_formed"),
    "propensity 0": (lambda s, c, n, good: replace(good, propensity=good.scores), "selections_are_well_formed"),
    "propensity 2": (lambda s, c, n, good: replace(good, propensity=good.scores + 2), "selections_are_well_formed"),
    "one too few": (lambda s, c, n, good: RandomStrategy().select(c, max(n - 1, 0)), "selections_are_well_formed"),
    "one too many": (lambda s, c, n, good: RandomStrategy().select(c, n + 1), "asking_for_nothing"),
    "counts calls": (
        lambda s, c, n, good: RandomStrategy().select(replace(c, seed=s.calls), n),
        "the_same_context_gives_the_same_selection",
    ),
    "global generator": (global_generator, "global_random_state_is_neither_read_nor_moved"),
    "signed margin": (signed_margin, "sides_do_not_matter"),
    "writes": (writes, "nothing_of_the_context_is_written_to"),
    "ignores the cap": (first_n, "the_cap_of_a_prompt_is_kept_and_used_up"),
    "no maximum of nothing": (takes_the_maximum, "no_candidates"),
    "stumbles over NaN": (stumbles_over_nan, "values_that_are_not_numbers"),
    "drops the worthless": (drops_worthless, "a_posterior_that_tells_nothing"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_the_contract_catches(name):
    spoil, promise = BROKEN[name]
    arguments = {"per_prompt": 1} if "cap" in promise else {}
    check = getattr(StrategyContract(), f"test_{promise}")
    check(RandomStrategy(), **arguments)
    with pytest.raises((AssertionError, ValueError)):
        check(Broken(spoil), **arguments)


def test_the_contract_catches_a_strategy_that_depends_on_the_hash_seed(tmp_path):
    (tmp_path / "test_hashed.py").write_text(
        textwrap.dedent(
            """
            from dataclasses import replace
            import pytest
            from pairloop.acquisition import RandomStrategy
            from pairloop.testing.strategies import StrategyContract

            class Hashed:
                def select(self, context, n):
                    return RandomStrategy().select(replace(context, seed=hash("seed") & 0xFFFF), n)

            class TestHashed(StrategyContract):
                @pytest.fixture
                def strategy(self):
                    return Hashed()
            """
        )
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_hashed.py", "-k", "process or sides"],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "1 failed, 1 passed" in done.stdout, done.stdout


def test_specs_are_offered_by_the_hook_with_documented_options():
    assert list(SPECS) == ["random", "entropy", "bald", "logdet", *NEWER]
    for spec in SPECS.values():
        assert spec.summary
        for field in spec.options.model_fields.values() if spec.options else ():
            assert field.description
