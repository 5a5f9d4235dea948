"""The contract of policy tuners, as tests that a plugin's author inherits::

    from pairloop.testing.tuners import TunerContract

    class TestMyTuner(TunerContract):
        @pytest.fixture
        def spec(self):
            return TunerSpec("mine", make)

Override ``options`` to keep the job small, and ``scorer`` where words are not what your policy is rewarded for.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pairloop.kit.progress import Silent
from pairloop.posterior import FloatArray
from pairloop.protocols import PolicyJob, PolicyPrompt, PolicyTuner, Scorer, TunerSpec
from pairloop.records import ResponseView
from pairloop.store.artifacts import folder_digest
from pairloop.testing.reward_models import toy_responses
from pairloop.testing.toy_source import goodness


class WordScorer:
    """Scores by good and bad words, always equally sure; implements `pairloop.protocols.Scorer`."""

    def score(self, responses: Sequence[ResponseView]) -> tuple[FloatArray, FloatArray]:
        """The number of good words minus that of bad ones."""
        return np.array([goodness(view.text) for view in responses], dtype=float), np.full(len(responses), 0.1)


class TunerContract:
    """What every policy tuner must do. Override ``spec``."""

    @pytest.fixture
    def spec(self) -> TunerSpec:
        """Override: the spec under test."""
        raise NotImplementedError("override the fixture 'spec' to return your TunerSpec")

    @pytest.fixture
    def options(self, spec: TunerSpec) -> Any:
        """Options to make tuners with; override it when the defaults are slow."""
        return None if spec.options is None else spec.options()

    @pytest.fixture
    def scorer(self) -> Scorer:
        """What is rewarded."""
        return WordScorer()

    @pytest.fixture
    def model(self) -> str:
        """What ``prepare`` starts from."""
        return "scratch"

    @pytest.fixture
    def tuner(self, spec: TunerSpec, options: Any) -> PolicyTuner:
        """A tuner."""
        return spec.factory(options)

    @pytest.fixture
    def initial(self, tuner: PolicyTuner, model: str, tmp_path: Path) -> Path:
        """π0."""
        return self.prepared(tuner, model, tmp_path / "initial")

    def prepared(self, tuner: PolicyTuner, model: str, into: Path) -> Path:
        """π0 in a new folder."""
        into.mkdir()
        tuner.prepare(model, toy_responses(), into, seed=3, progress=Silent())
        return into

    def prompts(self, n: int = 4) -> list[PolicyPrompt]:
        """Prompts to tune on or to sample from."""
        views = {view.prompt_id: view for view in toy_responses()}
        return [PolicyPrompt(id_, view.prompt, view.group) for id_, view in list(views.items())[:n]]

    def job(self, folder: Path, initial: Path, **changes: Any) -> PolicyJob:
        """A small job in a new folder."""
        folder.mkdir()
        fields: dict[str, Any] = {
            "folder": folder, "policy": initial, "reference": initial, "prompts": self.prompts(4)[:3],
            "probe": self.prompts(4)[3:], "kl_weight": 0.05, "kl_budget": 20.0, "conservatism": 0.0, "seed": 11,
        }  # fmt: skip
        return PolicyJob(**fields | changes)

    def test_the_initial_policy_is_always_the_same(
        self, tuner: PolicyTuner, model: str, initial: Path, tmp_path: Path
    ) -> None:
        """Same seed and corpus, same bytes."""
        assert folder_digest(self.prepared(tuner, model, tmp_path / "again")) == folder_digest(initial)

    def test_tuning_delivers_a_policy_that_can_be_sampled(
        self, tuner: PolicyTuner, initial: Path, scorer: Scorer, tmp_path: Path
    ) -> None:
        """A complete folder, finite metrics, a reason for the stop, finite summary; inputs untouched."""
        before = folder_digest(initial)
        result = tuner.tune(self.job(tmp_path / "job", initial), scorer, Silent())
        assert folder_digest(initial) == before, "the reference never moves"
        assert result.stop_reason
        assert all(math.isfinite(value) for row in result.metrics for value in row.values())
        assert all(math.isfinite(value) for value in result.summary.values())
        assert tuner.generate(result.checkpoint, self.prompts(1), 1, None, seed=1)

    def test_a_job_has_one_result(self, tuner: PolicyTuner, initial: Path, scorer: Scorer, tmp_path: Path) -> None:
        """The same job in another folder, or again in its own, gives the same policy and metrics."""
        job = self.job(tmp_path / "job", initial)
        first = tuner.tune(job, scorer, Silent())
        digest, metrics = folder_digest(first.checkpoint), [dict(row) for row in first.metrics]
        for other in (self.job(tmp_path / "other", initial), job):
            again = tuner.tune(other, scorer, Silent())
            assert folder_digest(again.checkpoint) == digest
            assert [dict(row) for row in again.metrics] == metrics

    def test_generation_is_asked_for_and_repeatable(self, tuner: PolicyTuner, initial: Path, scorer: Scorer) -> None:
        """``n`` responses a prompt, of the prompts that were given, the same for the same seed."""
        for use in (None, scorer):
            first = tuner.generate(initial, self.prompts(3), 2, use, seed=5)
            assert [one.prompt_id for one in first] == [p.id for p in self.prompts(3) for _ in range(2)]
            assert all(isinstance(one.text, str) for one in first)
            assert list(first) == list(tuner.generate(initial, self.prompts(3), 2, use, seed=5))

    def test_other_seeds_give_other_samples(self, tuner: PolicyTuner, initial: Path) -> None:
        """Eight prompts do not all get the same text twice."""
        one, other = ([g.text for g in tuner.generate(initial, self.prompts(8), 1, None, seed=s)] for s in (1, 2))
        assert one != other

    def test_global_random_state_is_not_moved(
        self, tuner: PolicyTuner, initial: Path, scorer: Scorer, tmp_path: Path
    ) -> None:
        """Randomness comes from the seed."""
        before = np.random.get_state()[1].tolist()  # type: ignore[index]
        tuner.tune(self.job(tmp_path / "job", initial), scorer, Silent())
        assert before == np.random.get_state()[1].tolist()  # type: ignore[index]
