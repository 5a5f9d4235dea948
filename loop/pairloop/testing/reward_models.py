"""The contract of reward models, as tests that a plugin's author inherits::

    from pairloop.testing.reward_models import RewardModelContract

    class TestMyModel(RewardModelContract):
        @pytest.fixture
        def spec(self):
            return RewardModelSpec("mine", make, load)

``spec.options()`` must be usable as it is, or override ``options``.
"""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pairloop.errors import ModelError, PairloopError
from pairloop.kit.ids import prompt_id, response_id
from pairloop.posterior import PreferencePosterior
from pairloop.protocols import ModelContext, RewardModel, RewardModelSpec, TrainingData
from pairloop.records import ResponseView, SourceRow
from pairloop.testing.toy_source import ToyOptions, ToySource, goodness


def toy_responses(prompts: int = 30, responses: int = 4, seed: int = 0) -> tuple[ResponseView, ...]:
    """A small pool of `pairloop.testing.toy_source`, every prompt its own group."""
    views = []
    for row in ToySource(ToyOptions(prompts=prompts, responses=responses, seed=seed)).rows():
        if not isinstance(row, SourceRow):
            continue
        prompt = prompt_id(row.prompt)
        views += [
            ResponseView(response_id(prompt, item.text), prompt, row.prompt, item.text, prompt)
            for item in row.responses
        ]
    return tuple(views)


def toy_votes(responses: tuple[ResponseView, ...], *, per_prompt: int = 4, seed: int = 0) -> TrainingData:
    """Votes by the gold score, two annotators, a third of them control; the last sixth of the pool is not trainable."""
    rng = np.random.default_rng(seed)
    prompts = list(dict.fromkeys(view.prompt_id for view in responses))
    number = {prompt: i for i, prompt in enumerate(prompts)}
    of = np.array([number[view.prompt_id] for view in responses])
    held = of >= len(prompts) - len(prompts) // 6
    pairs = []
    for prompt in range(len(prompts) - len(prompts) // 6):
        rows = np.flatnonzero(of == prompt)
        pairs += [rng.permutation(rows)[:2] for _ in range(per_prompt)]
    left, right = np.array(pairs, dtype=np.int32).T
    gold = np.array([goodness(view.text) for view in responses])
    margin = gold[left] - gold[right]
    outcome = np.where(margin == 0, 2, np.where(margin > 0, 0, 1)).astype(np.int8)
    n = len(left)
    return TrainingData(
        responses=responses, trainable=~held, left=left, right=right, outcome=outcome,
        annotator=(np.arange(n) % 2).astype(np.int32), annotators=("ann-0", "ann-1"), weight=np.ones(n),
        group=of[left].astype(np.int32), control=np.arange(n) % 3 == 0, prelabel_shown=np.zeros(n, dtype=bool),
        round=np.ones(n, dtype=np.int32),
    )  # fmt: skip


def read_only(data: TrainingData) -> TrainingData:
    """The same votes over arrays that raise when something writes to them."""
    frozen = {}
    for field in dataclasses.fields(data):
        value = getattr(data, field.name)
        if isinstance(value, np.ndarray):
            value = value.copy()
            value.flags.writeable = False
        frozen[field.name] = value
    return TrainingData(**frozen)


def same_posterior(one: PreferencePosterior, other: PreferencePosterior) -> bool:
    """Bit for bit."""
    return (
        np.array_equal(one.mean, other.mean)
        and np.array_equal(one.whitened, other.whitened)
        and (one.flip_rate, one.tie, one.temperature, one.fitted)
        == (other.flip_rate, other.tie, other.temperature, other.fitted)
    )


class RewardModelContract:
    """What every reward model must do. Override ``spec``."""

    @pytest.fixture
    def spec(self) -> RewardModelSpec:
        """Override: the spec under test."""
        raise NotImplementedError("override the fixture 'spec' to return your RewardModelSpec")

    @pytest.fixture
    def options(self, spec: RewardModelSpec) -> Any:
        """Options to make models with; override it when the defaults are slow."""
        return None if spec.options is None else spec.options()

    @pytest.fixture
    def context(self, tmp_path: Path) -> ModelContext:
        """A fresh cache."""
        cache = tmp_path / "cache"
        cache.mkdir()
        return ModelContext(cache)

    @pytest.fixture
    def data(self) -> TrainingData:
        """Votes that hold a signal."""
        return read_only(toy_votes(toy_responses()))

    @pytest.fixture
    def fitted(self, spec: RewardModelSpec, options: Any, context: ModelContext, data: TrainingData) -> RewardModel:
        """A model fitted on `data`."""
        model = spec.factory(options, context)
        model.fit(data, seed=1)
        return model

    def test_the_prior_says_nothing_yet(
        self, spec: RewardModelSpec, options: Any, context: ModelContext, data: TrainingData
    ) -> None:
        """Before any vote: means are equal, no pair is preferred, and there is something to learn."""
        prior = spec.factory(options, context).prior(data.responses, data.trainable, seed=1)
        n = len(data.responses)
        assert prior.mean.shape == (n,)
        assert prior.whitened.shape[0] == n
        assert not prior.fitted
        np.testing.assert_allclose(prior.probability(data.pairs), 0.5, atol=1e-9)
        assert prior.variance(data.pairs).max() > 0

    def test_the_posterior_fits_its_responses(self, fitted: RewardModel, data: TrainingData) -> None:
        """Shapes, finite numbers, scalars in range, for all and for some responses, and for none."""
        for responses in (data.responses, data.responses[:5], data.responses[:1], data.responses[:0]):
            posterior = fitted.posterior(responses)
            assert posterior.mean.shape == (len(responses),)
            assert posterior.whitened.shape[0] == len(responses)
            assert posterior.whitened.ndim == 2
            assert np.isfinite(posterior.mean).all()
            assert np.isfinite(posterior.whitened).all()
            assert 0 <= posterior.flip_rate < 0.5
            assert posterior.tie >= 0
            assert posterior.temperature > 0
            assert posterior.fitted

    def test_it_learns_what_the_votes_say(self, fitted: RewardModel, data: TrainingData) -> None:
        """Most decisive votes are on the side of the posterior mean."""
        decisive = data.outcome < 2
        p = fitted.posterior(data.responses).probability(data.pairs[decisive])
        assert np.mean((p > 0.5) == (data.outcome[decisive] == 0)) > 0.7

    def test_a_row_does_not_depend_on_its_neighbours(self, fitted: RewardModel, data: TrainingData) -> None:
        """Margins of a pair are the same in any list of responses."""
        everywhere = fitted.posterior(data.responses)
        few = fitted.posterior(data.responses[3:7])
        pair = np.array([[0, 2]])
        np.testing.assert_allclose(few.margin(pair), everywhere.margin(pair + 3), rtol=1e-6, atol=1e-9)
        np.testing.assert_allclose(few.variance(pair), everywhere.variance(pair + 3), rtol=1e-5, atol=1e-9)

    def test_scores_are_means_and_deviations(self, fitted: RewardModel, data: TrainingData) -> None:
        """Two (N,) arrays; deviations are not negative."""
        mean, std = fitted.score(data.responses)
        assert mean.shape == std.shape == (len(data.responses),)
        assert np.isfinite(mean).all()
        assert (std >= 0).all()

    def test_the_same_votes_give_the_same_model(
        self, spec: RewardModelSpec, options: Any, context: ModelContext, data: TrainingData, tmp_path: Path
    ) -> None:
        """Fitting twice gives the same posterior and the same bytes, whatever was fitted in between and cached."""
        models = []
        for number in range(2):
            model = spec.factory(options, context)
            if number:
                model.fit(toy_votes(toy_responses(seed=5)), seed=3)
            model.fit(data, seed=1)
            models.append(model)
        assert same_posterior(*(model.posterior(data.responses) for model in models))
        assert _saved(models[0], tmp_path / "one") == _saved(models[1], tmp_path / "two")

    def test_a_saved_model_comes_back_bit_for_bit(
        self, spec: RewardModelSpec, fitted: RewardModel, data: TrainingData, tmp_path: Path
    ) -> None:
        """Also without the cache it was fitted with; saving the loaded model gives the same bytes."""
        files = _saved(fitted, tmp_path / "model")
        loaded = spec.load(tmp_path / "model", ModelContext(None))
        assert same_posterior(fitted.posterior(data.responses), loaded.posterior(data.responses))
        assert _saved(loaded, tmp_path / "again") == files

    def test_no_file_is_a_pickle(self, fitted: RewardModel, tmp_path: Path) -> None:
        """What is saved can be loaded without running it."""
        for name, content in _saved(fitted, tmp_path / "model").items():
            assert not name.endswith((".pkl", ".pickle", ".pt", ".bin", ".joblib")), name
            assert not content.startswith((b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")), name

    def test_a_truncated_file_is_an_error_that_says_so(
        self, spec: RewardModelSpec, fitted: RewardModel, tmp_path: Path
    ) -> None:
        """Half of any file is refused with an error of pairloop's."""
        for name in sorted(_saved(fitted, tmp_path / "model")):
            broken = tmp_path / f"broken-{name.replace('/', '-')}"
            _saved(fitted, broken)
            content = (broken / name).read_bytes()
            (broken / name).write_bytes(content[: len(content) // 2])
            with pytest.raises(PairloopError):
                spec.load(broken, ModelContext(None))

    @pytest.mark.parametrize("outcome", [0, 1, 2])
    def test_votes_that_hold_nothing_are_refused(
        self, spec: RewardModelSpec, options: Any, context: ModelContext, data: TrainingData, outcome: int
    ) -> None:
        """All left, all right or all ties: `NoSignal` or `Diverged`, never a model."""
        silent = dataclasses.replace(data, outcome=np.full(len(data), outcome, dtype=np.int8))
        with pytest.raises(ModelError):
            spec.factory(options, context).fit(silent, seed=1)

    def test_no_vote_at_all_is_refused(
        self, spec: RewardModelSpec, options: Any, context: ModelContext, data: TrainingData
    ) -> None:
        """An empty table of votes is no signal either."""
        with pytest.raises(ModelError):
            spec.factory(options, context).fit(data.subset(np.zeros(0, dtype=np.int64)), seed=1)

    def test_global_random_state_is_not_moved(
        self, spec: RewardModelSpec, options: Any, context: ModelContext, data: TrainingData
    ) -> None:
        """Randomness comes from the seed."""
        before = np.random.get_state()[1].tolist()  # type: ignore[index]
        spec.factory(options, context).fit(data, seed=1)
        after = np.random.get_state()[1].tolist()  # type: ignore[index]
        assert before == after


def _saved(model: RewardModel, folder: Path) -> dict[str, bytes]:
    folder.mkdir()
    model.save(folder)
    files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert files, "save wrote nothing"
    return files
