"""``auto`` chooses by votes that were predicted before they were trained on, says so, and is one of its candidates."""

import dataclasses
import sys
from pathlib import Path

import numpy as np
import pytest

from pairloop.errors import CorruptionDetected, Diverged, UsageError
from pairloop.protocols import ModelContext
from pairloop.testing.reward_models import RewardModelContract, same_posterior, toy_responses, toy_votes
from pairloop_reward.automatic import model as automatic
from pairloop_reward.automatic.model import AutoRewardModel
from pairloop_reward.automatic.options import AutoOptions
from pairloop_reward.automatic.plugin import pairloop_reward_models
from pairloop_reward.automatic.prequential import block_losses, blocks, choose_candidate, clustered_error, narrowed
from pairloop_reward.model import TfidfRewardModel
from pairloop_reward.options import TfidfOptions

sys.path.insert(0, str(Path(__file__).parents[1] / "finetuned"))


def in_rounds(size=20, **changes):
    data = toy_votes(toy_responses())
    return dataclasses.replace(data, round=np.arange(len(data)) // size + 1, **changes)


def small(**changes):
    return AutoOptions(candidates=("tfidf",), first_votes=20, fewest_predicted=5, **changes)


class TestContract(RewardModelContract):
    @pytest.fixture
    def spec(self):
        return pairloop_reward_models()[0]

    @pytest.fixture
    def options(self):
        return small()


def test_no_vote_is_predicted_by_a_fit_that_saw_it_or_anything_later():
    data = in_rounds()
    found = blocks(data, 20, 1.5)
    assert len(found) > 1
    for block in found:
        assert data.round[block.train].max() < data.round[block.test].min()
        assert data.control[block.test].all()
        assert (data.outcome[block.test] < 2).all()
    tested = np.concatenate([block.test for block in found])
    assert len(np.unique(tested)) == len(tested)


def test_fits_are_made_only_when_votes_have_grown():
    data = in_rounds(size=10)
    sizes = [len(block.train) for block in blocks(data, 20, 1.5)]
    assert sizes == [20, 30, 50, 80]


def test_votes_that_saw_a_prelabel_or_that_were_chosen_do_not_judge():
    data = in_rounds(prelabel_shown=np.ones(100, dtype=bool))
    assert blocks(data, 20, 1.5) == []
    assert blocks(in_rounds(control=np.zeros(100, dtype=bool)), 20, 1.5) == []


def test_an_old_comparison_does_not_change_when_the_pool_grows():
    data = in_rounds()
    block = blocks(data, 20, 1.5)[0]
    more = toy_responses(seed=9)
    grown = dataclasses.replace(
        data, responses=(*more, *data.responses), trainable=np.r_[np.ones(len(more), bool), data.trainable],
        left=data.left + len(more), right=data.right + len(more), group=data.group + 7,
    )  # fmt: skip
    assert automatic._content(grown, block) == automatic._content(data, block)
    assert [view.id for view in narrowed(grown, block).responses] == [v.id for v in narrowed(data, block).responses]
    other = dataclasses.replace(data, outcome=np.where(data.outcome == 0, 1, data.outcome).astype(np.int8))
    assert automatic._content(other, block) != automatic._content(data, block)


def test_losses_are_those_of_a_fit_on_earlier_votes():
    data = in_rounds()
    block = blocks(data, 20, 1.5)[-1]
    losses = block_losses(lambda: TfidfRewardModel(TfidfOptions(), ModelContext()), data, block, seed=1)
    assert losses.shape == (len(block.test),)
    assert losses.mean() < np.log(2)
    silent = dataclasses.replace(data, outcome=np.zeros(len(data), dtype=np.int8))
    assert (
        block_losses(lambda: TfidfRewardModel(TfidfOptions(), ModelContext()), silent, block, seed=1) == np.log(2)
    ).all()


@pytest.mark.parametrize(("gain", "index"), [(0.3, 1), (-0.3, 0), (0.0, 0)])
def test_the_dearer_candidate_needs_a_clear_gain(gain, index):
    rng = np.random.default_rng(0)
    cheap = rng.exponential(size=200)
    dear = cheap - gain + 0.01 * rng.normal(size=200)
    choice = choose_candidate([cheap, dear if gain else cheap.copy()], np.arange(200) // 4)
    assert choice.index == index
    noisy = cheap - 0.02 + rng.normal(size=200)
    assert choose_candidate([cheap, noisy], np.arange(200) // 4).index == 0 or noisy.mean() < cheap.mean() - 0.05


def test_the_error_counts_clusters_not_votes():
    values = np.repeat(np.random.default_rng(1).normal(size=10), 20)
    one, many = clustered_error(values, np.repeat(np.arange(10), 20)), clustered_error(values, np.arange(200))
    assert one > 3 * many
    assert one == pytest.approx(values[::20].std(ddof=1) / np.sqrt(10))


def test_before_enough_random_votes_the_first_candidate_is_used_and_that_is_said():
    model = AutoRewardModel(AutoOptions(candidates=("tfidf", "finetuned"), first_votes=500), ModelContext())
    report = model.fit(in_rounds(), seed=1)
    assert model.chosen == "tfidf"
    assert report.notes[0] == (
        "auto chose tfidf: 0 votes of the random arm were predicted by earlier fits, 20 are needed to compare"
    )


def test_a_candidate_that_cannot_be_used_is_left_out_with_its_reason(tmp_path):
    pytest.importorskip("torch")
    options = AutoOptions(
        candidates=("tfidf", "finetuned"), first_votes=20, fewest_predicted=5,
        finetuned={"model": str(tmp_path / "nothing-here")},
    )  # fmt: skip
    model = AutoRewardModel(options, ModelContext(tmp_path))
    report = model.fit(in_rounds(), seed=1)
    assert model.chosen == "tfidf"
    assert any(note.startswith("finetuned cannot be used: reward.options.model") for note in report.notes)
    assert report.numbers["auto_votes"] > 5


class Oracle(TfidfRewardModel):
    """A candidate that is better, or worse, than TF-IDF, and counts its fits."""

    fits = 0

    def fit(self, data, *, seed):
        type(self).fits += 1
        return super().fit(data, seed=seed)

    def posterior(self, responses):
        from pairloop.testing.toy_source import goodness

        found = super().posterior(responses)
        gold = np.array([goodness(view.text) for view in responses]) * self.sign
        return dataclasses.replace(found, mean=10.0 * gold, whitened=found.whitened * 1e-3, temperature=1.0)


@pytest.mark.parametrize(("sign", "chosen"), [(1.0, "finetuned"), (-1.0, "tfidf")])
def test_it_takes_what_predicts_better_and_says_the_numbers(monkeypatch, tmp_path, sign, chosen):
    part = automatic._part
    made = type("Made", (Oracle,), {"sign": sign, "fits": 0})

    def parts(kind, verb):
        return part("tfidf", verb) if kind == "tfidf" else lambda _options, context: made(TfidfOptions(), context)

    monkeypatch.setattr(automatic, "_part", parts)
    options = AutoOptions(candidates=("tfidf", "finetuned"), first_votes=20, fewest_predicted=5)
    data = in_rounds()
    reports = []
    for _ in range(2):
        before = made.fits
        model = AutoRewardModel(options, ModelContext(tmp_path))
        reports.append(model.fit(data, seed=len(reports)))
        again = made.fits - before
    assert model.chosen == chosen
    assert reports[0].notes[0] == reports[1].notes[0]
    assert f"auto chose {chosen}, the best: log-loss of" in reports[0].notes[0]
    assert "tfidf 0." in reports[0].notes[0]
    assert "finetuned " in reports[0].notes[0]
    losses = {name: reports[0].numbers[f"auto_log_loss_{name}"] for name in ("tfidf", "finetuned")}
    assert min(losses, key=losses.__getitem__) == chosen
    assert again == (chosen == "finetuned"), "the comparison itself is remembered"


def test_a_chosen_candidate_that_diverges_on_all_votes_gives_way(monkeypatch, tmp_path):
    part = automatic._part

    class Breaks(Oracle):
        sign = 1.0

        def fit(self, data, *, seed):
            if len(data) == 100:
                raise Diverged("fine-tuning diverged at step 3")
            return super().fit(data, seed=seed)

    def parts(kind, verb):
        return part("tfidf", verb) if kind == "tfidf" else lambda _options, context: Breaks(TfidfOptions(), context)

    monkeypatch.setattr(automatic, "_part", parts)
    options = AutoOptions(candidates=("tfidf", "finetuned"), first_votes=20, fewest_predicted=5)
    model = AutoRewardModel(options, ModelContext(tmp_path))
    report = model.fit(in_rounds(), seed=1)
    assert model.chosen == "tfidf"
    assert any("finetuned could not be fitted on all votes (fine-tuning diverged" in note for note in report.notes)


def test_a_fine_tuned_choice_is_saved_and_loaded_as_one(tmp_path):
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    from tiny_models import options as quick
    from tiny_models import tiny_bert

    (tmp_path / "bert").mkdir()
    options = AutoOptions(candidates=("finetuned",), finetuned=quick(tiny_bert(tmp_path / "bert"), epochs=1))
    model = AutoRewardModel(options, ModelContext(tmp_path / "cache"))
    data = in_rounds()
    model.fit(data, seed=1)
    (tmp_path / "saved").mkdir()
    model.save(tmp_path / "saved")
    loaded = AutoRewardModel.load(tmp_path / "saved", ModelContext())
    assert loaded.chosen == "finetuned"
    assert same_posterior(loaded.posterior(data.responses), model.posterior(data.responses))
    text = (tmp_path / "saved/auto.json").read_text()
    (tmp_path / "saved/auto.json").write_text(text.replace("finetuned", "tfidf", 1))
    with pytest.raises(CorruptionDetected):
        AutoRewardModel.load(tmp_path / "saved", ModelContext())


def test_comparisons_of_arms_use_tfidf():
    assert isinstance(AutoRewardModel(small(), ModelContext()).stand_in(), TfidfRewardModel)


def test_a_check_says_what_can_be_used(tmp_path):
    options = AutoOptions(candidates=("tfidf", "finetuned"), finetuned={"model": str(tmp_path / "nothing-here")})
    said = AutoRewardModel(options, ModelContext()).check()
    assert said.startswith("tfidf; finetuned cannot be used: ")
    alone = AutoOptions(candidates=("finetuned",), finetuned={"model": str(tmp_path / "nothing-here")})
    with pytest.raises(UsageError):
        AutoRewardModel(alone, ModelContext()).check()
