"""Which votes count for a leaderboard, and for whom."""

from dataclasses import replace

import numpy as np
import pytest

from pairloop.leaderboard import collect, from_rows, leaderboard, random_weights
from pairloop.leaderboard.ballots import authors
from pairloop.leaderboard.style import counts, covariates
from pairloop.records import (
    AnnotatorKind,
    Arm,
    Assignment,
    Choice,
    Provenance,
    RecordedVote,
    SourceResponse,
    SourceRow,
)

from .conftest import judgement

VOTE = judgement("a", ">", "b")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"kind": AnnotatorKind.MODEL}, "by a judge"),
        ({"excluded": True}, "of an excluded annotator"),
        ({"arm": Arm.GOLD}, "on a gold item"),
        ({"choice": Choice.SKIP}, "skipped"),
        ({"authors": ((), ("b",))}, "without a model's name"),
        ({"authors": (("a",), ("a",))}, "between texts of the same model"),
    ],
)
def test_what_does_not_count_is_counted_by_reason(change, reason):
    found = collect([VOTE, replace(VOTE, **change), replace(VOTE, **change)])
    assert (found.votes, found.ignored) == (1, {reason: 2})


@pytest.mark.parametrize("arm", [Arm.ACTIVE, Arm.FRESH, Arm.RANDOM, Arm.HOLDOUT, None])
def test_votes_of_every_other_arm_count(arm):
    assert collect([replace(VOTE, arm=arm)]).votes == 1


def test_judges_have_ballots_of_their_own_and_excluded_people_count_for_nothing_there():
    judge = replace(VOTE, kind=AnnotatorKind.MODEL, annotator="gpt")
    found = collect([VOTE, judge, replace(VOTE, excluded=True)], judges=True)
    assert (found.annotators, found.ignored) == (("gpt",), {"by people": 2})
    assert collect([replace(VOTE, kind=AnnotatorKind.SIMULATED)]).simulated == 1


def test_points_are_about_the_first_and_both_bad_is_a_tie():
    votes = [replace(VOTE, choice=choice) for choice in (Choice.LEFT, Choice.RIGHT, Choice.TIE, Choice.BOTH_BAD)]
    assert collect(votes).points.tolist() == [1.0, 0.0, 0.5, 0.5]


def test_a_text_of_several_models_divides_the_vote_among_them():
    found = collect([replace(VOTE, authors=(("a", "b"), ("b", "c")))])
    pairs = {(found.models[a], found.models[b]): w for a, b, w in zip(found.a, found.b, found.weight, strict=True)}
    assert pairs == pytest.approx({("a", "b"): 1 / 3, ("a", "c"): 1 / 3, ("b", "c"): 1 / 3})
    assert found.votes == 1
    row = {r.model: r for r in leaderboard(collect([replace(VOTE, authors=(("a", "b"), ("c",)))] * 4)).tables[0].rows}
    assert (row["a"].votes, row["b"].wins, row["c"].losses) == (2.0, 2.0, 4.0)


def test_names_are_those_of_models_or_of_policies_without_a_name():
    assert authors([Provenance(model="b"), Provenance(model="a"), Provenance(model="b"), Provenance()]) == ("a", "b")
    assert authors([Provenance(source="policy", policy="0123456789abcdef")]) == ("policy 0123456789ab",)
    assert authors([Provenance(), Provenance(source="gold")]) == ()


def test_rows_of_the_data_keep_which_model_they_are_about_even_where_texts_are_the_same():
    def row(model, choice, kind=AnnotatorKind.HUMAN):
        texts = (SourceResponse("fine", Provenance(model="a")), SourceResponse("", Provenance(model=model)))
        return SourceRow("prompt", texts, ((0, 1),), (((0, 1), RecordedVote("ann", choice, kind)),))

    rows = [row("b", Choice.LEFT), row("c", Choice.RIGHT), row("c", Choice.LEFT, AnnotatorKind.MODEL)]
    found = collect(from_rows(rows))
    assert [(found.models[a], found.models[b]) for a, b in zip(found.a, found.b, strict=True)] == [
        ("a", "b"),
        ("a", "c"),
    ]
    assert found.ignored == {"by a judge": 1}
    assert collect(from_rows(rows, {"ann"}.__contains__)).ignored == {"by a judge": 1, "of an excluded annotator": 2}


def test_values_of_the_metadata_divide_the_votes():
    votes = [replace(VOTE, metadata=m) for m in ({"kind": "x"}, {"kind": "y"}, {"kind": 3}, {})]
    assert list(collect(votes, by="kind").parts()) == ["(none)", "3", "x", "y"]
    assert sum(part.votes for part in collect(votes, by="kind").parts().values()) == 4


def assignment(number, arm, propensity, pair):
    return Assignment(f"{number}{arm}{pair}", number, pair, 0, False, arm, "random", None, 0, None, propensity, 1.0, "")


def test_random_votes_are_weighted_so_that_each_side_counts_by_its_pairs():
    arms = [Arm.ACTIVE] * 5 + [Arm.RANDOM] * 4 + [Arm.HOLDOUT] * 4
    found = collect([replace(VOTE, arm=arm) for arm in arms])
    drawn = [assignment(1, Arm.RANDOM, 4 / 900, f"t{i}") for i in range(4)]
    drawn += [assignment(1, Arm.HOLDOUT, 4 / 100, f"h{i}") for i in range(4)]
    weight = random_weights(found, [*drawn, assignment(1, Arm.ACTIVE, None, "x")])
    assert weight[:5].tolist() == [0.0] * 5
    assert weight[5:9].sum() / weight[9:].sum() == pytest.approx(9.0)
    assert weight.sum() == pytest.approx(8.0)
    assert random_weights(found, []) == pytest.approx([0.0] * 5 + [1.0] * 8), (
        "without propensities every vote counts one"
    )


def test_chosen_pairs_that_tilt_the_table_are_told_from_random_ones():
    random = [judgement("a", ">=<"[i % 3], "b", f"w{i % 5}", f"p{i % 7}") for i in range(60)]
    chosen = [replace(judgement("a", ">", "b", f"w{i % 5}", f"p{i % 7}"), arm=Arm.ACTIVE) for i in range(60)]
    found = collect([*(replace(vote, arm=Arm.RANDOM) for vote in random), *chosen])
    table = leaderboard(found, random=random_weights(found, [])).tables[0]
    first = table.rows[0]
    assert first.random is not None
    assert (first.model, table.random_votes) == ("a", 60)
    assert first.random.value == pytest.approx(0.0, abs=1e-9)
    assert first.score.value > 0.4
    assert "60 of the votes are on pairs that a strategy chose" in " ".join(table.notes)


def test_few_random_votes_are_said_to_be_too_few():
    found = collect([replace(VOTE, arm=Arm.RANDOM), *[replace(VOTE, choice=Choice.RIGHT, arm=Arm.ACTIVE)] * 9])
    table = leaderboard(found, random=random_weights(found, [])).tables[0]
    assert all(row.random is None for row in table.rows)
    assert "too few" in " ".join(table.notes)


def test_judges_stand_beside_people_and_move_nothing():
    votes = [judgement("a", ">><"[i % 3], "b", f"w{i % 4}", f"p{i % 5}") for i in range(30)]
    judges = [replace(judgement("a", "<<>"[i % 3], "b", "gpt"), kind=AnnotatorKind.MODEL) for i in range(30)]
    alone = leaderboard(collect(votes)).tables[0]
    beside = leaderboard(collect([*votes, *judges]), collect([*votes, *judges], judges=True)).tables[0]
    assert [row.score for row in beside.rows] == [row.score for row in alone.rows]
    assert [row.judge for row in beside.rows] == pytest.approx([-np.log(2) / 2, np.log(2) / 2])
    assert beside.judge_votes == 30


# ------------------------------------------------------------------------------------------------ style


def test_markdown_is_counted_and_code_is_not():
    text = "# One\n## Two\n#no\n- a\n* b\n 3. c\n-d\n**x** and __y__ a__b__c 2*3*4\n```py\n# code\n- no\n**no**\n```\n"
    assert counts(text) == [float(len(text)), 2.0, 3.0, 2.0]
    assert counts("") == [0.0] * 4
    assert counts("```\n# open to the end\n- x")[1:] == [0.0] * 3


def test_covariates_change_sign_with_the_sides_and_have_unit_size():
    style = np.array([[[30.0, 1, 0, 0], [10.0, 0, 0, 0]], [[5.0, 0, 2, 0], [20.0, 1, 2, 0]]])
    z, scale = covariates(style, np.ones(2))
    assert z[:, 0] * scale[0] == pytest.approx([0.5, -0.6])
    assert (z**2).mean(axis=0) == pytest.approx([1.0, 1.0, 0.0, 0.0])
    assert covariates(style[:, ::-1], np.ones(2))[0] == pytest.approx(-z)


def test_a_model_that_wins_by_length_alone_is_average_at_equal_length():
    rng, votes = np.random.default_rng(1), []
    for i in range(1500):
        one, other = rng.choice(3, 2, replace=False)
        long = rng.integers(10, 200, 2) * np.where(np.array([one, other]) == 0, 5, 1)
        x = (long[0] - long[1]) / long.sum()
        won = rng.random() < 1 / (1 + np.exp(-3 * x))
        vote = judgement(f"m{one}", "><"[int(not won)], f"m{other}", f"w{i % 20}", f"p{i % 25}")
        votes.append(replace(vote, texts=("x" * long[0], "y" * long[1])))
    first = leaderboard(collect(votes), style=True).tables[0].rows[0]
    assert (first.model, first.rank_high) == ("m0", 1)
    assert first.score.value > 0.8
    assert first.styled is not None
    assert first.styled.low < 0.0 < first.styled.high
