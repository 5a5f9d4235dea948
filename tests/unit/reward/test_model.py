"""The tfidf model end to end: fit, posterior, save, load, and what it refuses."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from importlib.metadata import entry_points

import numpy as np
import pytest

from pairloop.errors import CorruptionDetected, DataError, Diverged, NoSignal, UsageError
from pairloop.kit.threads import numeric_threads
from pairloop.metrics import accuracy
from pairloop.protocols import ModelContext, RewardModel, Scorer
from pairloop_reward.features import Featurizer
from pairloop_reward.model import TfidfRewardModel
from pairloop_reward.options import TfidfOptions
from pairloop_reward.plugin import load_tfidf, make_tfidf, pairloop_reward_models
from pairloop_reward.search import choose

OPTIONS = TfidfOptions(dimensions=32)


def fitted(data, seed=0, options=OPTIONS):
    model = TfidfRewardModel(options, ModelContext())
    return model, model.fit(data, seed=seed)


@pytest.fixture
def saved(voted, tmp_path):
    """Training data, the model fitted on it, and the folder it was saved to."""
    data = voted()
    model, _ = fitted(data)
    folder = tmp_path / "model"
    folder.mkdir()
    model.save(folder)
    return data, model, folder


def test_it_learns_what_generalises_to_other_groups(voted):
    data = voted(prompts=40, n=400, holdout=(8, 9))
    model, report = fitted(data)
    posterior = model.posterior(data.responses)
    rows = np.flatnonzero(~data.trainable)
    pairs = np.array([(i, j) for i in rows for j in rows if i // 4 == j // 4 and i < j])
    length = np.array([len(response.text) for response in data.responses])
    outcome = np.where(length[pairs[:, 0]] > length[pairs[:, 1]], 0, 1)
    assert accuracy(posterior.probability(pairs), outcome, pairs[:, 0] // 4).value > 0.8
    assert 0.01 < report.numbers["flip_rate"] + report.numbers["tie"] < 0.8
    assert report.n_votes == 400
    assert report.numbers["decisive_votes"] + report.numbers["tied_votes"] == 400
    assert all(np.isfinite(value) for value in report.numbers.values())


def test_votes_shrink_the_uncertainty_of_what_they_are_about(voted):
    data = voted()
    model = TfidfRewardModel(OPTIONS, ModelContext())
    before = model.prior(data.responses, data.trainable, seed=0)
    assert not before.fitted
    assert not before.mean.any()
    assert np.median(before.variance(data.pairs)) == pytest.approx(1.25, rel=0.5)
    fixed = TfidfOptions(dimensions=32, flip_rate=0.1)
    few, many = (fitted(data.subset(np.arange(n)), options=fixed)[0].posterior(data.responses) for n in (30, 300))
    assert few.fitted
    assert many.variance(data.pairs).mean() < few.variance(data.pairs).mean()


def test_a_vote_counts_for_responses_that_were_never_shown(voted):
    data = voted(n=200)
    model, _ = fitted(data)
    new = [
        replace(data.responses[0], id="new", text="school matters for three clear reasons which the study explains.")
    ]
    bad = [replace(data.responses[0], id="bad", text="school no idea!!!")]
    mean, deviation = model.score([*new, *bad])
    assert mean[0] > mean[1]
    assert (deviation > 0).all()


def test_score_is_the_posterior(voted):
    data = voted(n=100)
    model, _ = fitted(data)
    posterior = model.posterior(data.responses)
    mean, deviation = model.score(data.responses)
    assert np.array_equal(mean, posterior.mean)
    assert deviation == pytest.approx(np.linalg.norm(posterior.whitened, axis=1))


def test_fitting_twice_gives_the_same_bits(voted):
    data = voted(n=150)
    one, two = (fitted(data, seed=5)[0].posterior(data.responses) for _ in range(2))
    assert np.array_equal(one.mean, two.mean)
    assert np.array_equal(one.whitened, two.whitened)
    assert one.temperature == two.temperature


def test_swapping_all_sides_changes_only_the_position_bias(voted):
    data = voted(n=200)
    swapped = replace(data, left=data.right, right=data.left, outcome=np.array([1, 0, 2])[data.outcome])
    (one, report), (two, mirrored) = fitted(data), fitted(swapped)
    assert one.posterior(data.responses).mean == pytest.approx(two.posterior(data.responses).mean, abs=1e-6)
    assert report.numbers["position_bias"] == pytest.approx(-mirrored.numbers["position_bias"], abs=1e-6)


def test_votes_with_a_shown_prelabel_count_less_and_never_calibrate(voted):
    data = voted(n=200)
    shown = replace(data, prelabel_shown=np.ones(200, dtype=bool))
    _, report = fitted(shown)
    assert report.numbers["calibration_votes"] == 0
    assert any("not calibrated" in note for note in report.notes)
    fixed = TfidfOptions(dimensions=32, flip_rate=0.1, prior_margin=1.0)
    blind = fitted(data, options=fixed)[0].posterior(data.responses)
    anchored = fitted(shown, options=fixed)[0].posterior(data.responses)
    assert anchored.variance(data.pairs).mean() > blind.variance(data.pairs).mean()


def test_long_responses_are_counted(voted):
    data = voted(n=100)
    responses = [replace(data.responses[0], text="word " * 10_000), *data.responses[1:]]
    _, report = fitted(replace(data, responses=responses))
    assert report.numbers["responses_cut"] == 1.0
    assert any("1 responses were cut to 20000 characters" in note for note in report.notes)


def test_unlearnable_votes_are_refused_and_the_old_model_stays(voted):
    data = voted(n=100)
    model, _ = fitted(data)
    before = model.posterior(data.responses).mean
    with pytest.raises(NoSignal, match="ties"):
        model.fit(replace(data, outcome=np.full(100, 2)), seed=0)
    assert np.array_equal(model.posterior(data.responses).mean, before)
    with pytest.raises(NoSignal, match="one class only"):
        model.fit(replace(data, outcome=np.zeros(100, dtype=int)), seed=0)
    with pytest.raises(NoSignal, match="no vote"):
        model.fit(data.subset(np.zeros(100, dtype=bool)), seed=0)


def test_features_that_are_not_finite_name_the_response(voted, monkeypatch):
    data, original = voted(n=50), Featurizer.transform

    def broken(self, responses, *, remember=True):
        features = original(self, responses)
        features[[response.id == "r3-2" for response in responses]] = np.nan
        return features

    monkeypatch.setattr(Featurizer, "transform", broken)
    with pytest.raises(Diverged, match="r3-2"):
        fitted(data)


def test_an_unfitted_model_says_what_to_do(voted, tmp_path):
    model = TfidfRewardModel(OPTIONS, ModelContext())
    with pytest.raises(UsageError, match="not fitted"):
        model.posterior(voted().responses)
    with pytest.raises(UsageError, match="not fitted"):
        model.save(tmp_path)


def test_a_loaded_model_is_the_same_to_the_bit(saved):
    data, model, folder = saved
    one, two = model.posterior(data.responses), load_tfidf(folder, ModelContext()).posterior(data.responses)
    assert np.array_equal(one.mean, two.mean)
    assert np.array_equal(one.whitened, two.whitened)
    assert (one.flip_rate, one.tie, one.temperature, one.fitted) == (
        two.flip_rate,
        two.tie,
        two.temperature,
        two.fitted,
    )


def test_another_process_with_another_hash_seed_agrees_to_the_bit(saved, tmp_path):
    """Training, saving and predicting, elsewhere: the files and the posterior are the same bytes."""
    data, model, folder = saved
    again = tmp_path / "again"
    again.mkdir()
    np.savez(
        tmp_path / "votes.npz", left=data.left, right=data.right, outcome=data.outcome, annotator=data.annotator,
        group=data.group, control=data.control, trainable=data.trainable,
    )  # fmt: skip
    rows = [[r.id, r.prompt_id, r.prompt, r.text, r.group] for r in data.responses]
    (tmp_path / "pool.json").write_text(json.dumps(rows))
    script = """
import json, sys
from pathlib import Path
import numpy as np
from pairloop.protocols import ModelContext, TrainingData
from pairloop.records import ResponseView
from pairloop_reward.model import TfidfRewardModel
from pairloop_reward.options import TfidfOptions
base = Path(sys.argv[1])
responses = [ResponseView(*row) for row in json.loads((base / "pool.json").read_text())]
v = np.load(base / "votes.npz")
n = len(v["left"])
data = TrainingData(responses, v["trainable"], v["left"], v["right"], v["outcome"], v["annotator"],
    ("ann", "bob", "eve"), np.ones(n), v["group"], v["control"], np.zeros(n, bool), np.zeros(n, int))
model = TfidfRewardModel(TfidfOptions(dimensions=32), ModelContext())
model.fit(data, seed=0)
model.save(base / "again")
posterior = TfidfRewardModel.load(Path(sys.argv[2]), ModelContext()).posterior(responses)
sys.stdout.buffer.write(posterior.mean.tobytes() + posterior.whitened.tobytes())
"""
    environment = {**os.environ, "PYTHONHASHSEED": "4711", "OPENBLAS_NUM_THREADS": "2"}
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path), str(folder)], env=environment, capture_output=True, check=True
    )
    posterior = model.posterior(data.responses)
    assert done.stdout == posterior.mean.tobytes() + posterior.whitened.tobytes()
    for path in folder.iterdir():
        assert (again / path.name).read_bytes() == path.read_bytes(), path.name


@pytest.mark.parametrize("name", ["model.json", "model.safetensors", "vocabulary.json"])
@pytest.mark.parametrize("damage", ["truncate", "flip", "empty", "delete"])
def test_damaged_files_are_named(saved, name, damage):
    _, _, folder = saved
    path = folder / name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    changed = {"truncate": data[: len(data) // 2], "flip": data, "empty": b"", "delete": None}[damage]
    path.unlink() if changed is None else path.write_bytes(changed)
    with pytest.raises(CorruptionDetected, match=name):
        load_tfidf(folder, ModelContext())


def test_every_flipped_byte_of_the_description_is_noticed(saved):
    _, _, folder = saved
    path = folder / "model.json"
    original = path.read_bytes()
    for position in range(0, len(original) - 1, 7):
        changed = bytearray(original)
        changed[position] ^= 1
        path.write_bytes(changed)
        with pytest.raises((CorruptionDetected, DataError)):
            load_tfidf(folder, ModelContext())


def test_no_file_is_a_pickle(saved):
    _, _, folder = saved
    assert sorted(path.name for path in folder.iterdir()) == ["model.json", "model.safetensors", "vocabulary.json"]
    for content in (path.read_bytes() for path in folder.iterdir()):
        assert not (content.startswith(b"\x80") and content.endswith(b"."))  # how a pickle begins and ends


def test_it_is_offered_by_its_entry_point():
    found = [point for point in entry_points(group="pairloop") if point.name == "reward.tfidf"]
    assert [point.value for point in found] == ["pairloop_reward.plugin"]
    spec = pairloop_reward_models()[0]
    model = spec.factory(spec.options(), ModelContext())
    assert isinstance(model, Scorer)
    assert (spec.name, spec.factory, spec.load) == ("tfidf", make_tfidf, load_tfidf)


def test_the_plugin_module_is_light():
    code = "import sys, pairloop_reward.plugin; print({'sklearn', 'scipy.optimize'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_every_option_is_documented():
    for name, field in TfidfOptions.model_fields.items():
        assert field.description, name


def conforms(model: TfidfRewardModel) -> RewardModel:
    """For the type checker: the model has the protocol's shape."""
    return model


def test_pooled_annotators_are_the_plain_fit(voted):
    """``annotators = "pooled"`` learns the same whoever voted, and reports nobody."""
    data, options = voted(n=150), OPTIONS.model_copy(update={"annotators": "pooled"})
    model, report = fitted(data, options=options)
    other, _ = fitted(replace(data, annotator=np.zeros(150, dtype=int)), options=options)
    assert report.annotators == {}
    assert np.array_equal(model.posterior(data.responses).mean, other.posterior(data.responses).mean)
    store, votes = model._store, model._votes(model._store.features(data.responses), data)
    with numeric_threads():
        plain = choose(votes, data.group, store.featurizer.blocks, (1.0, 0.7), None).fit
    assert np.array_equal(model._head.weights, plain.weights)
    assert model.posterior(data.responses).flip_rate == plain.flip_rate


def test_annotators_of_one_vote_each_are_a_pool(voted):
    data = voted(n=150)
    single = replace(data, annotator=np.arange(150), annotators=tuple(f"a{k}" for k in range(150)))
    (joint, report), (pooled, _) = (
        fitted(single, options=OPTIONS.model_copy(update={"annotators": how})) for how in ("joint", "pooled")
    )
    assert report.annotators == {}
    assert np.array_equal(joint.posterior(data.responses).mean, pooled.posterior(data.responses).mean)


def with_spammer(data):
    """The votes, with those of "eve" drawn by lot."""
    outcome = np.where(data.annotator == 2, np.random.default_rng(1).integers(0, 2, len(data)), data.outcome)
    return replace(data, outcome=outcome)


def test_the_report_says_whom_to_believe(voted):
    data = with_spammer(voted(n=400, noise=0.05))
    _, report = fitted(data, options=OPTIONS.model_copy(update={"annotators": "joint"}))
    votes = np.bincount(data.annotator)
    assert {name: row["votes"] for name, row in report.annotators.items()} == dict(
        zip(data.annotators, votes, strict=True)
    )
    assert [row["votes"] for row in report.annotators.values()] == sorted(votes, reverse=True)
    spammer, honest = report.annotators["eve"], report.annotators["ann"]
    assert spammer["flip_low"] > honest["flip_high"]
    assert spammer["weight"] < 0.3
    assert honest["weight"] > 0.6
    for row in report.annotators.values():
        assert row["flip_low"] <= row["flip_rate"] <= row["flip_high"] <= 0.5
        assert row["position_low"] < row["position_bias"] < row["position_high"]
        assert all(np.isfinite(value) for value in row.values())
    assert report.numbers["annotators"] == 3


def test_a_saved_model_knows_its_annotators(voted, tmp_path):
    data, (one, two) = with_spammer(voted(n=200)), (tmp_path / "one", tmp_path / "two")
    model, report = fitted(data, options=OPTIONS.model_copy(update={"annotators": "joint"}))
    for folder in (one, two):
        folder.mkdir()
    model.save(one)
    loaded = load_tfidf(one, ModelContext())
    assert loaded.annotators() == report.annotators
    loaded.save(two)
    for path in one.iterdir():
        assert (two / path.name).read_bytes() == path.read_bytes(), path.name


def test_a_fixed_flip_rate_holds_for_everybody(voted):
    options = TfidfOptions(dimensions=32, flip_rate=0.2, annotators="joint")
    model, report = fitted(with_spammer(voted(n=200)), options=options)
    assert {row["flip_rate"] for row in report.annotators.values()} == {0.2}
    assert model._head.flip_rate == pytest.approx(0.2)


def test_without_surface_features_there_are_no_length_biases(voted):
    options = TfidfOptions(dimensions=32, surface=False, annotators="joint")
    _, report = fitted(voted(n=200), options=options)
    assert {row["length_bias"] for row in report.annotators.values()} == {0.0}


def test_the_prior_can_be_fixed_and_ties_left_out(voted):
    data = voted()
    _, report = fitted(data, options=TfidfOptions(dimensions=32, prior_margin=1.0, ties="drop"))
    assert (report.numbers["prior_margin_surface"], report.numbers["prior_margin_text"]) == (1.0, 1.0)
    _, other = fitted(replace(data, weight=np.where(data.outcome == 2, 0.0, 1.0)), options=OPTIONS)
    _, dropped = fitted(data, options=OPTIONS.model_copy(update={"ties": "drop"}))
    assert dropped.numbers["log_likelihood"] == other.numbers["log_likelihood"]
    _, kept = fitted(data, options=OPTIONS)
    assert kept.numbers["tie"] > 1.5 * dropped.numbers["tie"]
