"""A judge in the loop: its votes train at the weight that people support, and are counted nowhere else."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pairloop.campaign import Campaign, Finished
from pairloop.exports.rows import preference_rows, verdict_rows, vote_rows
from pairloop.judging.facts import judge_sentence
from pairloop.judging.votes import Judgement, judge_data, judgements
from pairloop.records import AnnotatorKind, Arm, Choice, Vote
from pairloop.steps import judge as judging
from pairloop.testing.campaigns import toy_config, toy_registry

TOY = {"kind": "toy", "extra": 4, "options": {"asked": "asked.txt"}}


def open_campaign(folder: Path, **changes: Any) -> Campaign:
    changes.setdefault("policy", {"tuner": None})
    return Campaign(folder, registry=toy_registry(), config_text=toy_config(**changes))


def run(folder: Path, **changes: Any) -> Campaign:
    campaign = open_campaign(folder, **changes)
    assert isinstance(campaign.run(), Finished)
    return campaign


def test_nothing_about_people_changes(tmp_path: Path) -> None:
    """Votes, budgets, gates, measures and exports are those of the same campaign without a judge."""
    budget = {"labels": 26, "cost_per_vote": 0.5}
    with run(tmp_path / "a/with", judge=TOY, budget=budget) as one, run(tmp_path / "b/without", budget=budget) as other:
        assert one.store.annotations.judged()
        a, b = one.status(), other.status()
        for key in ("votes", "budget", "round", "rounds_done"):
            assert a[key] == b[key], key
        for key in ("holdout", "arms", "train_votes", "holdout_votes"):
            assert a["model"][key] == b["model"][key], key
        strip = [(v.key, v.annotator, v.choice, v.arm, v.cost) for v in one.store.annotations.votes()]
        assert strip == [(v.key, v.annotator, v.choice, v.arm, v.cost) for v in other.store.annotations.votes()]
        assert [a.key for a in one.store.rounds.assignments()] == [a.key for a in other.store.rounds.assignments()]
        assert one.store.rounds.count(1) == other.store.rounds.count(1)
        assert vote_rows(one.store) == vote_rows(other.store)
        assert b["judge"] is None


def test_what_is_judged(tmp_path: Path) -> None:
    with run(tmp_path / "c", judge=TOY) as campaign:
        store, pool = campaign.store, campaign.context.pool()
        judged = store.rounds.judged()
        assert {a.arm for a in judged} == {Arm.JUDGE}
        pairs = {a.pair_id for a in judged}
        asked = {a.pair_id: a.arm for a in store.rounds.assignments()}
        assert {pair for pair, arm in asked.items() if arm is not Arm.HOLDOUT} <= pairs, "all of the batches"
        assert not {pair for pair, arm in asked.items() if arm is Arm.HOLDOUT} & pairs, "nothing of the holdout"
        drawn = [a for a in judged if a.propensity is not None]
        assert len(drawn) == 3 * 4 * 2, "four pairs a round, in two orders"
        assert all(0 < (a.propensity or 0) < 1 for a in drawn)
        by_pair: dict[str, list[bool]] = {}
        for a in judged:
            by_pair.setdefault(a.pair_id, []).append(a.flipped)
        assert all(sorted(orders) == [False, True] for orders in by_pair.values()), "both orders, once"
        assert {v.kind for v in store.annotations.judged()} == {AnnotatorKind.MODEL}
        held = [pool.holdout[pool.row_of[v.left]] for v in store.annotations.judged()]
        assert not any(held)
        assert store.check() == []
        assert store.annotations.verify() == len(judged) + len(store.annotations.standing())


def test_people_can_still_be_asked_what_the_judge_was_asked(tmp_path: Path) -> None:
    with run(tmp_path / "c", judge={**TOY, "extra": 60}, round={"max_rounds": 6}) as campaign:
        drawn = {a.pair_id: a.round for a in campaign.store.rounds.judged() if a.propensity is not None}
        later = {a.pair_id for a in campaign.store.rounds.assignments() if a.round > drawn.get(a.pair_id, 99)}
        assert later


def test_a_share_of_the_batch(tmp_path: Path) -> None:
    with run(tmp_path / "c", judge={"kind": "toy", "batch": 0.5}) as campaign:
        asked = {a.pair_id for a in campaign.store.rounds.assignments() if a.arm is not Arm.HOLDOUT}
        judged = {a.pair_id for a in campaign.store.rounds.judged()}
        assert judged < asked
        assert 0.2 < len(judged) / len(asked) < 0.8


def test_another_template_is_another_annotator(tmp_path: Path) -> None:
    with run(tmp_path / "c", judge={"kind": "toy"}) as campaign:
        before = campaign.store.annotations.judged()
    again = {"kind": "toy", "options": {"template": "2"}}
    with open_campaign(tmp_path / "c", judge=again, round={"max_rounds": 4}) as campaign:
        campaign.run()
        names = {v.annotator for v in campaign.store.annotations.judged()}
        assert len(names) == 2
        assert len(judgements(campaign.store.annotations.judged())) >= len(before), "all pairs are put to the new one"
        assert campaign.store.check() == []


def test_a_judge_that_cannot_be_reached_stops_nobody(tmp_path: Path) -> None:
    out = {"kind": "toy", "options": {"fails_after": 5, "asked": "asked.txt"}}
    outcomes: list[str] = []
    with open_campaign(tmp_path / "c", judge=out, round={"max_rounds": 1}) as campaign:
        campaign.run(on_outcome=lambda outcome: outcomes.append(str(getattr(outcome, "note", ""))))
        assert len(judgements(campaign.store.annotations.judged())) == 2
        assert any("the toy judge is out" in note for note in outcomes)
        facts = campaign.status()["judge"]
        assert "the toy judge is out" in judge_sentence(facts)
    with open_campaign(
        tmp_path / "c", judge={**out, "options": {"asked": "asked.txt"}}, round={"max_rounds": 2}
    ) as campaign:
        campaign.run()
        arms = (Arm.ACTIVE, Arm.RANDOM, Arm.FRESH)
        asked = {a.pair_id for a in campaign.store.rounds.assignments() if a.arm in arms}
        assert {a.pair_id for a in campaign.store.rounds.judged()} == asked, "the next round brings what was left"
        assert campaign.status()["judge"]["problem"] is None
    lines = (tmp_path / "c/asked.txt").read_text(encoding="utf-8").split()
    assert len(lines) == len(set(lines))


def test_its_budget_is_its_own(tmp_path: Path) -> None:
    with run(tmp_path / "c", judge={**TOY, "budget": 0.1}) as campaign:
        facts = campaign.status()["judge"]
        assert facts["cost"] == pytest.approx(0.1)
        assert facts["questions"] == 10
        assert facts["problem"] == "the judge's budget is used up"
        assert campaign.status()["budget"]["cost"]["spent"] == 0.0


def test_an_excluded_judge_trains_nothing(tmp_path: Path) -> None:
    with run(tmp_path / "c", judge=TOY) as campaign:
        _, report = judging.with_judge(campaign.context, 3, campaign.context.pool(), _people(campaign))
        assert report is not None
        assert report["votes"] > 0
        (name,) = campaign.status()["judge"]["annotators"]
        with campaign.store.transaction():
            campaign.store.quality.decide(name, excluded=True, decided_by="me", reason="test")
        _, report = judging.with_judge(campaign.context, 3, campaign.context.pool(), _people(campaign))
        assert report is not None
        assert report["votes"] == 0


def _people(campaign: Campaign) -> Any:
    from pairloop.votes import training_data, training_votes

    pool = campaign.context.pool()
    return training_data(pool, training_votes(pool, campaign.store.annotations.votes()))


# ----------------------------------------------------------------------------------------------- judgements


def vote(choice: Choice, flipped: bool, p_left: float | None = None) -> Vote:
    return Vote(
        1, "k", 1, "q0", "r1", "r2", "judge:x", AnnotatorKind.MODEL, choice, Arm.JUDGE, flipped, False, None, None,
        None, None, 0.0, p_left=p_left,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("straight", "swapped", "choice"),
    [
        (Choice.LEFT, Choice.RIGHT, Choice.LEFT), (Choice.RIGHT, Choice.LEFT, Choice.RIGHT),
        (Choice.LEFT, Choice.LEFT, Choice.TIE), (Choice.TIE, Choice.TIE, Choice.TIE),
        (Choice.TIE, Choice.LEFT, Choice.TIE), (Choice.SKIP, Choice.LEFT, Choice.SKIP),
        (Choice.LEFT, Choice.SKIP, Choice.SKIP),
    ],
)  # fmt: skip
def test_two_orders_are_one_vote(straight: Choice, swapped: Choice, choice: Choice) -> None:
    assert Judgement(vote(straight, False), vote(swapped, True)).choice is choice


@pytest.mark.parametrize(("p", "q", "weight"), [(0.9, 0.1, 0.8), (0.6, 0.4, 0.2), (1.0, 0.0, 1.0), (0.8, 0.5, 1 / 3)])
def test_probabilities_weigh_the_vote_without_position_bias(p: float, q: float, weight: float) -> None:
    """(0.8, 0.5) are log-odds of 1.39 and 0: half of their sum is that of 2/3."""
    both = Judgement(vote(Choice.LEFT, False, p), vote(Choice.RIGHT, True, q))
    assert both.weight == pytest.approx(weight, abs=1e-3)


# ----------------------------------------------------------------------------------------------- alone


@pytest.fixture
def alone(tmp_path: Path) -> Callable[[], Campaign]:
    changes = {"backend": {"kind": "judge", "options": {}}, "judge": {"kind": "toy", "options": {"abstains": 0.0}}}
    return lambda: run(tmp_path / "c", **changes)


def test_a_judge_alone(alone: Callable[[], Campaign]) -> None:
    """Its votes are the campaign's votes, under budget and holdout like any others, and none of them is a person's."""
    with alone() as campaign:
        facts = campaign.status()
        assert facts["votes"]["by_kind"] == {"human": 0, "model": facts["votes"]["total"], "simulated": 0}
        assert facts["votes"]["total"] == 30
        assert facts["model"]["judge"] is None, "there is nobody to hold it to"
        assert facts["budget"]["cost"]["spent"] == pytest.approx(30 * 0.02)
        assert {row["kind"] for row in vote_rows(campaign.store)} == {"model"}
        assert verdict_rows(campaign.store)
        assert preference_rows(campaign.store)


def test_the_report_of_a_judge_alone_says_so(alone: Callable[[], Campaign]) -> None:
    from pairloop.cli.status import _votes
    from pairloop.report import write_report

    with alone() as campaign:
        page = campaign.folder / "report.html"
        write_report(campaign.store, campaign.config, page)
        assert "No person voted" in page.read_text(encoding="utf-8")
        assert "no person voted" in _votes(campaign.status()["votes"])


def test_what_the_model_learns_from_is_what_was_said(tmp_path: Path) -> None:
    """The vote of each pair for the side that both orders named, half of them displayed the other way round."""
    with run(tmp_path / "c", judge=TOY) as campaign:
        pool, found = campaign.context.pool(), judgements(campaign.store.annotations.judged())
        data = judge_data(pool, found, "tie")
        said = {(each.straight.left, each.straight.right): each.choice for each in found if each.answered}
        ids = [response.id for response in pool.responses]
        learned = {}
        for left, right, outcome in zip(data.left, data.right, data.outcome, strict=True):
            shown = (ids[left], ids[right])
            choice = (Choice.LEFT, Choice.RIGHT, Choice.TIE)[outcome]
            learned.update({shown: choice} if shown in said else {shown[::-1]: choice.mirrored()})
        assert learned == said
        assert {Choice.LEFT, Choice.RIGHT, Choice.TIE} == set(said.values())
        straight = sum((ids[left], ids[right]) in said for left, right in zip(data.left, data.right, strict=True))
        assert 0.2 < straight / len(data) < 0.8
        assert not data.control.any(), "a judge calibrates nothing"
        fewer = judge_data(pool, found, "abstain")
        assert len(fewer) == sum(each.consistent for each in found) < len(data)
