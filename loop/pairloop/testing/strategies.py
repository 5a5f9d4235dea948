"""What every selection strategy must do. Inherit, override one fixture, and the tests below run against yours::

    class TestMine(StrategyContract):
        @pytest.fixture
        def strategy(self):
            return MyStrategy()

The fixture returns a ready `pairloop.protocols.BatchStrategy`. Contexts come from `pairloop.testing.fakes`.
"""

import os
import random
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pairloop.protocols import BatchStrategy, Selection, SelectionContext
from pairloop.testing.fakes import fake_context, read_only, with_posterior

_PICKS_FILE = "PAIRLOOP_CONTRACT_PICKS"


def room(context: SelectionContext) -> int:
    """How many picks the candidates and the per-prompt cap allow."""
    counts = np.bincount(context.prompt[context.candidates[:, 0]], minlength=1)
    return int(np.minimum(counts, context.per_prompt).sum() if context.per_prompt > 0 else counts.sum())


def checked(strategy: BatchStrategy, context: SelectionContext, n: int) -> Selection:
    """Select, and check everything that holds for any selection."""
    chosen = strategy.select(context, n)
    for name in ("picks", "scores", "propensity"):
        value = getattr(chosen, name)
        assert isinstance(value, np.ndarray), f"{name} is a {type(value).__name__}, not an array"
        assert value.shape == chosen.picks.shape == (len(chosen.picks),), f"{name} has shape {value.shape}"
        kind = np.integer if name == "picks" else np.floating
        assert np.issubdtype(value.dtype, kind), f"{name} has dtype {value.dtype}"
    picks, propensity = chosen.picks, chosen.propensity
    assert len(np.unique(picks)) == len(picks), "a candidate was picked twice"
    assert np.all((picks >= 0) & (picks < len(context.candidates))), "a pick is not an index into candidates"
    assert len(picks) == min(n, room(context)), f"{len(picks)} picks where {min(n, room(context))} are possible"
    known = propensity[~np.isnan(propensity)]
    assert np.all((known > 0) & (known <= 1)), "a propensity is not in (0, 1]"
    if context.per_prompt > 0 and len(picks):
        of_prompt = np.bincount(context.prompt[context.candidates[picks, 0]])
        assert of_prompt.max() <= context.per_prompt, "a prompt has more picks than its cap"
    return chosen


def same(one: Selection, other: Selection) -> bool:
    """Bit for bit the same selection, NaN equal to NaN."""
    return all(
        np.array_equal(getattr(one, name), getattr(other, name), equal_nan=name != "picks")
        for name in ("picks", "scores", "propensity")
    )


def usual_context(
    prompts: int = 15, responses: int = 4, *, seed: int = 0, per_prompt: int = 2, pending: int = 3, asked: int = 5
) -> SelectionContext:
    """`fake_context` as in a later round: some pairs are in flight, some were asked before."""
    return fake_context(prompts, responses, seed=seed, per_prompt=per_prompt, pending=pending, asked=asked)


class StrategyContract:
    """Inherit this; each test is one promise of `pairloop.protocols.BatchStrategy`."""

    @pytest.fixture
    def strategy(self) -> BatchStrategy:
        """Override: the strategy under test."""
        raise NotImplementedError("override the fixture 'strategy' to return the strategy under test")

    def test_selections_are_well_formed(self, strategy: BatchStrategy) -> None:
        """dtypes, shapes, unique indices, as many picks as possible, propensities in (0, 1] or NaN."""
        for seed in range(5):
            for n in (1, 7, 20):
                checked(strategy, usual_context(seed=seed), n)

    def test_the_same_context_gives_the_same_selection(self, strategy: BatchStrategy) -> None:
        """No state is carried from call to call."""
        first = strategy.select(usual_context(), 12)
        strategy.select(usual_context(seed=5), 3)
        assert same(first, strategy.select(usual_context(), 12))

    def test_global_random_state_is_neither_read_nor_moved(self, strategy: BatchStrategy) -> None:
        """Randomness comes from the seed of the context."""
        saved, outcomes = (np.random.get_state(), random.getstate()), []
        try:
            for seed in (1, 2):
                random.seed(seed)
                np.random.seed(seed)
                before = (random.getstate(), np.random.get_state()[1].tolist())  # type: ignore[index]
                outcomes.append(strategy.select(usual_context(), 12))
                after = (random.getstate(), np.random.get_state()[1].tolist())  # type: ignore[index]
                assert before == after, "a global random state was used"
        finally:
            np.random.set_state(saved[0])
            random.setstate(saved[1])
        assert same(*outcomes)

    def test_another_process_selects_the_same(
        self, strategy: BatchStrategy, request: pytest.FixtureRequest, tmp_path: Path
    ) -> None:
        """Nothing depends on the hash seed: this test runs itself in a process with another one and compares."""
        picks = strategy.select(usual_context(), 12).picks.tolist()
        if _PICKS_FILE in os.environ:
            Path(os.environ[_PICKS_FILE]).write_text(repr(picks))
            return
        hash_seed = "2" if os.environ.get("PYTHONHASHSEED") == "1" else "1"
        assert _run_again(request, tmp_path / "picks", hash_seed) == repr(picks)

    def test_sides_do_not_matter(self, strategy: BatchStrategy) -> None:
        """Swapping the two responses of any candidate, pending or asked pair changes nothing."""
        for seed in range(5):
            context = usual_context(seed=seed)
            expected = checked(strategy, context, 15).picks.tolist()
            flips = np.random.default_rng(seed).random(len(context.candidates)) < 0.5
            some = context.candidates.copy()
            some[flips] = some[flips, ::-1]
            for candidates in (some, context.candidates[:, ::-1]):
                swapped = replace(
                    context, candidates=candidates, pending=context.pending[:, ::-1], asked=context.asked[:, ::-1]
                )
                assert checked(strategy, swapped, 15).picks.tolist() == expected

    def test_nothing_of_the_context_is_written_to(self, strategy: BatchStrategy) -> None:
        """Every array of the context is read-only here."""
        checked(strategy, read_only(usual_context()), 12)

    def test_pairs_in_flight_are_not_asked_again(self, strategy: BatchStrategy) -> None:
        """However many are in flight, every pick is a candidate and none of them is pending."""
        context = usual_context(pending=40)
        picks = checked(strategy, context, 12).picks
        flying = {tuple(sorted(pair)) for pair in context.pending.tolist()}
        assert not flying & {tuple(sorted(pair)) for pair in context.candidates[picks].tolist()}

    def test_the_order_of_what_was_asked_does_not_matter(self, strategy: BatchStrategy) -> None:
        """Pairs in flight and pairs asked before are sets."""
        for seed in range(3):
            context = usual_context(seed=seed, pending=6, asked=20)
            turned = replace(context, pending=context.pending[::-1], asked=context.asked[::-1])
            expected = checked(strategy, context, 12).picks.tolist()
            assert checked(strategy, turned, 12).picks.tolist() == expected

    def test_much_was_asked(self, strategy: BatchStrategy) -> None:
        """More was asked than is left, of some prompts everything: as many picks as ever."""
        context = usual_context(pending=10, asked=60)
        checked(strategy, context, 1000)
        checked(strategy, replace(context, pending=context.pending[:0]), 12)

    @pytest.mark.parametrize("per_prompt", [0, 1, 2, 3])
    def test_the_cap_of_a_prompt_is_kept_and_used_up(self, strategy: BatchStrategy, per_prompt: int) -> None:
        """At most ``per_prompt`` picks of a prompt, and fewer picks in all only when that leaves no more; 0: no cap."""
        for seed in range(3):
            for n in (10, 40, 1000):
                checked(strategy, usual_context(seed=seed, per_prompt=per_prompt), n)

    def test_asking_for_nothing(self, strategy: BatchStrategy) -> None:
        """n = 0 gives an empty selection."""
        assert len(checked(strategy, usual_context(), 0).picks) == 0

    def test_no_candidates(self, strategy: BatchStrategy) -> None:
        """An empty pool gives an empty selection."""
        context = usual_context()
        none = replace(context, candidates=context.candidates[:0], cost=context.cost[:0])
        assert len(checked(strategy, none, 5).picks) == 0

    def test_a_single_candidate(self, strategy: BatchStrategy) -> None:
        """The only candidate is picked, whatever it is worth."""
        context = usual_context()
        one = replace(context, candidates=context.candidates[:1], cost=context.cost[:1])
        assert checked(strategy, one, 5).picks.tolist() == [0]

    def test_a_posterior_that_tells_nothing(self, strategy: BatchStrategy) -> None:
        """All responses equal and certain: every pair is worth the same, and as many are picked as ever."""
        context = usual_context()
        flat = with_posterior(context, np.zeros(60), np.zeros((60, 8)))
        expected = checked(strategy, flat, 12)
        assert same(expected, checked(strategy, flat, 12))
        checked(strategy, flat, 1000)

    def test_values_that_are_not_numbers(self, strategy: BatchStrategy) -> None:
        """Responses with a NaN mean, or NaN coordinates, cost no pick and raise nothing."""
        context = usual_context()
        mean, whitened = context.posterior.mean.copy(), context.posterior.whitened.copy()
        mean[::7] = np.nan
        checked(strategy, with_posterior(context, mean, whitened), 20)
        whitened[::5] = np.nan
        checked(strategy, with_posterior(context, mean, whitened), 20)
        checked(strategy, with_posterior(context, np.full_like(mean, np.nan), whitened), 20)

    def test_before_any_vote_and_in_single_precision(self, strategy: BatchStrategy) -> None:
        """The prior posterior (not fitted, all means 0) and float32 coordinates are usual inputs."""
        context = usual_context()
        prior = with_posterior(context, np.zeros(60), context.posterior.whitened.astype(np.float32))
        checked(strategy, replace(prior, posterior=replace(prior.posterior, fitted=False)), 12)


def _run_again(request: pytest.FixtureRequest, answer: Path, hash_seed: str) -> str:
    """Run the requesting test alone in a child process; what it wrote to ``answer``."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    environment |= {_PICKS_FILE: str(answer), "PYTHONHASHSEED": hash_seed}
    test = "::".join([str(request.path), *request.node.nodeid.split("::")[1:]])
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-o",
        "addopts=",
        "--import-mode=importlib",
    ]
    done = subprocess.run(  # noqa: S603 - the same interpreter on the same test file
        [*command, test], cwd=request.config.rootpath, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return answer.read_text()
