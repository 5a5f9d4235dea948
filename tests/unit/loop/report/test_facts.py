"""Facts of hand-made stores against values worked out by hand."""

import json
import math

import pytest

from pairloop.kit.ids import make_pair
from pairloop.metrics import Estimate
from pairloop.records import Annotation, AnnotatorKind, Arm, Choice, Prelabel, Prompt, Provenance, Response, Split
from pairloop.report import estimates, learning

ESTIMATE = {"value": 0.7, "low": 0.6, "high": 0.8, "n": 40, "clusters": 12}


def test_shares_carry_intervals_within_the_unit_range_even_when_all_agree():
    all_hits = estimates.share([True] * 6, [0, 0, 1, 1, 2, 2])
    assert (all_hits.value, all_hits.high, all_hits.n, all_hits.clusters) == (1.0, 1.0, 6, 3)
    assert all_hits.low == pytest.approx(0.05 ** (1 / 3))  # 3 of 3 groups: rule of three
    assert estimates.share([], []) is None
    assert estimates.share([True, False], [1, 1]).low is None


def test_habits_are_clustered_by_what_gives_the_wider_interval():
    # ann always left, bob always right: over two people nothing is known, over many groups it looks certain
    hit, annotator = [True, False] * 50, [0, 1] * 50
    found = estimates.share_over(hit, list(range(100)), annotator)
    assert (found.low, found.high, found.clusters) == (0.0, 1.0, 2)
    assert estimates.share_over(hit, list(range(100)), [0] * 100).clusters == 100


def test_position_bias_counts_the_displayed_left(toy, pairs):
    toy.open()
    for i, pair in enumerate(pairs(10)):
        toy.vote(pair, "ann", Choice.LEFT if i < 7 else Choice.RIGHT, flipped=bool(i % 2))
    facts = toy.facts()
    assert facts.habits.position[0].estimate.value == pytest.approx(0.7)
    assert facts.people.rows[0].left.value == pytest.approx(0.7)
    assert facts.people.rows[0].left.n == 10


def test_length_bias_counts_votes_for_the_longer_text_and_leaves_out_equal_ones(toy, pairs):
    toy.open()
    for i, pair in enumerate(pairs(8)):
        texts = {r.id: r.text for r in toy.store.pool.responses()}
        longer = Choice.LEFT if len(texts[pair.first]) > len(texts[pair.second]) else Choice.RIGHT
        toy.vote(pair, "ann", longer if i < 6 else longer.mirrored())
    toy.vote(toy.pair("equal", "same", "SAME", group="other"), "ann", Choice.LEFT)
    habits = toy.facts().habits
    by_label = {habit.label: habit.estimate for habit in habits.length}
    assert by_label["all decisive votes"].value == pytest.approx(6 / 8)
    assert by_label["randomly drawn pairs only"] is None
    assert by_label["more than twice as long"].n == 8  # 15 characters against 7
    assert by_label["longer by 25 to 100 %"] is None
    assert habits.same_length == 1


def test_calibration_uses_only_random_votes_that_were_predicted_before(toy, pairs):
    toy.open()
    for i, pair in enumerate(pairs(60)):
        arm = (Arm.RANDOM, Arm.ACTIVE)[i % 2]
        toy.vote(pair, "ann", Choice.LEFT if i % 4 == 0 or i > 40 else Choice.RIGHT, arm=arm, p_left=0.75)
    toy.vote(pairs(61)[60], "ann", Choice.LEFT, arm=Arm.RANDOM)
    found = toy.facts().calibration
    # 30 random votes: 0, 2 … 40 are 11 left of 21, 42 … 58 all 9 left
    assert found.n == 30
    assert len(found.bins) == 1
    assert found.bins[0].confidence == pytest.approx(0.75)
    assert found.accuracy.value == pytest.approx(20 / 30)
    assert found.ece.value == pytest.approx(0.75 - 20 / 30)
    assert found.log_loss.value == pytest.approx(-(20 * math.log(0.75) + 10 * math.log(0.25)) / 30)


def test_the_learning_curve_says_what_votes_had_cost_until_the_fit(toy, pairs):
    toy.open()
    all_pairs = pairs(4)
    toy.vote(all_pairs[0], "ann", Choice.LEFT, cost=2.0)
    toy.vote(all_pairs[1], "ann", Choice.SKIP)  # priced by the assignment: 0.5
    toy.model("reward", {"holdout": {"accuracy": ESTIMATE, "log_loss": ESTIMATE}, "flip_rate": 0.1}, votes=1)
    toy.vote(all_pairs[2], "ann", Choice.LEFT, cost=4.0)
    toy.model("reward", {"rejected": "NaN"}, number=1, votes=2, accepted=False)
    first, second = toy.facts().points
    assert (first.votes, first.cost, first.accuracy, first.flip_rate) == (1, 2.5, Estimate(0.7, 0.6, 0.8, 40, 12), 0.1)
    assert (second.cost, second.rejected, second.accuracy) == (6.5, "NaN", None)
    assert toy.facts().model == first


@pytest.mark.parametrize(
    ("low", "high", "verdict"), [(-0.3, -0.1, "pays"), (-0.3, 0.1, "open"), (0.1, 0.3, "costs"), (None, None, "open")]
)
def test_active_selection_is_judged_by_the_interval_of_the_last_comparison(toy, low, high, verdict):
    toy.open()
    difference = {**ESTIMATE, "value": 0.0, "low": low, "high": high}
    arms = {"votes_per_arm": 30, "active": ESTIMATE, "random": ESTIMATE, "difference": difference}
    toy.model("reward", {"arms": {**arms, "difference": ESTIMATE}})
    toy.model("reward", {"arms": arms})
    facts = toy.facts()
    assert facts.arms_verdict == verdict
    assert [point.votes_per_arm for point in facts.arms] == [30, 30]


def test_without_comparison_nothing_is_said_about_selection():
    assert learning.arms_verdict(()) == "unmeasured"


def test_rounds_count_late_votes_where_they_were_asked(toy, pairs):
    all_pairs = pairs(3)
    toy.open()
    key = toy.vote(all_pairs[0], "ann", Choice.LEFT, seconds=4.0)
    toy.vote(all_pairs[1], "bob", Choice.SKIP, arm=Arm.HOLDOUT, seconds=8.0)
    late = toy.store.rounds.assignments()[0]
    toy.open()
    new, revised = (Annotation(key, "toy", *who, Choice.TIE) for who in (("other", "1", "eve"), (key, "2", "ann")))
    with toy.store.transaction():
        got = toy.store.annotations.ingest([new, revised], during=2)
        toy.store.events.add("annotations_received", 2, new=got.new, late=got.late, revised=got.revised, unknown=0)
    toy.vote(all_pairs[2], "ann", Choice.LEFT, number=2)
    facts = toy.facts()
    first, second = facts.rounds
    assert late.round == first.number == 1
    assert first.by_arm == dict.fromkeys((arm.value for arm in Arm), 0) | {"active": 2, "holdout": 1}
    assert first.by_choice == {"left": 0, "right": 0, "tie": 2, "both_bad": 0, "skip": 1}
    assert (first.asked, first.votes, second.votes, first.seconds) == (2, 3, 1, 8.0)
    assert (facts.arrivals.new, facts.arrivals.late, facts.arrivals.revised) == (4, 2, 1)


def test_the_supply_counts_implied_and_listed_pairs_of_each_side(toy, pairs):
    toy.open()
    all_pairs = pairs(3)
    toy.pair("held", "x", "y", group="h", split=Split.HOLDOUT)
    with toy.store.transaction():
        toy.store.pool.add_prompt(Prompt("p-all", "four responses", "g0"), "all")
        for i in range(4):
            toy.store.pool.add_response(Response(f"r{i}", "p-all", f"text {i}"))
        toy.store.pool.add_pair(make_pair("p-all", "r0", "r1"))  # asked once, but one of the six all the same
        toy.store.pool.set_excluded({all_pairs[2].prompt_id: "rated 1.0 of 5 by 2"})
    toy.vote(all_pairs[0], "ann", Choice.LEFT)
    supply = toy.facts().supply
    assert (supply.pairs, supply.asked) == (2 + 6, 1)
    assert (supply.holdout_pairs, supply.holdout_asked) == (1, 0)
    assert (supply.groups, supply.holdout_groups) == (4, 1)
    assert supply.excluded == (("rated too low", 1),)


def test_annotators_who_click_without_reading_stand_out_and_honest_ones_do_not(toy, pairs):
    toy.open()
    for i, pair in enumerate(pairs(40)):
        truth = Choice.LEFT if i % 2 else Choice.RIGHT
        for name in ("ann", "bob", "eve"):
            toy.vote(pair, name, truth, seconds=20.0)
        toy.vote(pair, "clicker", Choice.LEFT, seconds=1.0)
    rows = {row.name: row for row in toy.facts().people.rows}
    assert rows["ann"].remarks == ()
    assert rows["ann"].others.value == 1.0
    assert {remark.partition(":")[0] for remark in rows["clicker"].remarks} == {"one-sided", "chance", "fast"}
    assert rows["clicker"].others.value == 0.5


def test_one_of_thirty_annotators_may_lean_to_one_side_by_chance(toy, pairs):
    toy.open()
    for i, pair in enumerate(pairs(20)):
        toy.vote(pair, "leans", Choice.LEFT if i else Choice.RIGHT)  # 19 of 20: alone, that would be remarkable
    alone = toy.facts().people.rows[0]
    for i, pair in enumerate(pairs(20)[:8]):
        for k in range(99):
            toy.vote(pair, f"w{k}", (Choice.LEFT, Choice.RIGHT)[(i + k) % 2])
    among_many = next(row for row in toy.facts().people.rows if row.name == "leans")
    assert alone.remarks == ("one-sided: 19 of 20 decisive votes for the left side",)
    assert among_many.left == alone.left
    assert not among_many.remarks


def test_thousands_of_annotators_become_thirty_rows_and_a_sum(toy, pairs):
    toy.open()
    made = pairs(8)
    for i in range(40):
        for pair in made[: 5 + i % 2]:
            toy.vote(pair, f"w{i:02d}", Choice.LEFT, kind=AnnotatorKind.SIMULATED)
    toy.vote(made[7], "once", Choice.LEFT)
    people = toy.facts().people
    assert (people.count, len(people.rows), people.rest) == (41, 30, 11)
    assert people.rest_votes == 10 * 5 + 1
    assert [row.votes for row in people.rows] == [6] * 20 + [5] * 10
    assert people.by_kind == {"human": 1, "model": 0, "simulated": 220}


def test_duels_are_counted_for_the_tuned_policy_and_leave_out_texts_of_both(toy):
    toy.open()
    tuned = Provenance("policy", "policy-tuned-1", "x", 1)
    initial = Provenance("policy", "policy-initial", "y", 1)
    for i, choice in enumerate((Choice.LEFT, Choice.LEFT, Choice.TIE, Choice.RIGHT)):
        pair = toy.pair(f"q{i}", f"tuned {i}", f"initial {i}", group=f"g{i}", models=(tuned, initial))
        texts = {r.id: r.text for r in toy.store.pool.responses()}
        toy.vote(pair, "ann", choice, flipped=not texts[pair.first].startswith("tuned"))
    both = toy.pair("q9", "t", "same", models=(tuned, initial))
    toy.pair("q9", "t", "same", models=(initial, initial))
    toy.vote(both, "ann", Choice.LEFT)
    toy.vote(toy.pair("q7", "t", "shared", models=(tuned, initial)), "ann", Choice.LEFT)
    toy.pair("q7", "t", "shared", models=(tuned, Provenance(model="human")))
    data = toy.pair("q8", "mine", "theirs", models=(tuned, Provenance(model="human")))
    toy.vote(data, "ann", Choice.SKIP)
    (duel,) = toy.facts().duels
    assert (duel.tuned, duel.opponent) == ("policy-tuned-1", "policy-initial")
    assert (duel.wins, duel.ties, duel.losses) == (2, 1, 1)
    assert duel.share.value == pytest.approx(2.5 / 4)


def test_tuning_tolerates_missing_and_strange_numbers(toy):
    toy.open()
    metrics = [{"step": 0, "probe_reward": 1.0}, {"reward": 2.0, "kl": "x", "length": True}, "nonsense"]
    toy.model(
        "policy", {"tuner": "own", "metrics": metrics, "summary": {"probe_kl_before": 0.0, "probe_kl_after": 3.0}}
    )
    toy.model("policy", {"metrics": [{"n": 1, "reward": 0.1}, {"n": 2, "reward": 0.3, "kl": 0.2}], "summary": {}})
    own, best = toy.facts().tunings
    assert [(s.step, s.reward, s.kl, s.length) for s in own.steps] == [(0, None, None, None), (1, 2.0, None, None)]
    assert own.steps[0].probe_reward == 1.0
    assert [(p.before, p.after) for p in own.probed] == [(0.0, 3.0)]
    assert best.best_of == ((1.0, 0.1, None), (2.0, 0.3, 0.2))
    assert best.steps == ()


def test_anchoring_compares_shown_with_blind_guesses_of_the_chosen_arms(toy, pairs):
    toy.open()
    guesses = {}
    for i, pair in enumerate(pairs(8)):
        arm = Arm.HOLDOUT if i == 7 else Arm.ACTIVE
        key = toy.vote(pair, "ann", Choice.LEFT if i < 6 else Choice.RIGHT, arm=arm, prelabel_shown=i < 4)
        guesses[key] = Prelabel(Choice.LEFT, 0.8, "m", shown=i < 4)
    with toy.store.transaction():
        toy.store.rounds.add_prelabels(guesses)
    found = toy.facts().anchoring
    assert (found.shown.value, found.shown.n) == (1.0, 4)
    assert (found.blind.value, found.blind.n) == (pytest.approx(2 / 3), 3)
    assert found.difference.value == pytest.approx(1 / 3)


def test_examples_show_confident_errors_first_and_no_pair_twice(toy, pairs):
    toy.open()
    made = pairs(6)
    for i, p_left in enumerate((0.95, 0.9, 0.8, 0.7, 0.51, 0.55)):
        toy.vote(made[i], "ann", Choice.RIGHT if i < 2 else Choice.LEFT, p_left=p_left)
    toy.vote(made[3], "bob", Choice.RIGHT)
    groups = toy.facts().examples
    assert [e.p_first for e in groups[0].examples] == [0.95, 0.9]
    assert groups[0].examples[0].second.votes == 1
    assert groups[1].title.startswith("People disagreed")
    assert len(groups[1].examples) == 1
    prompts = [e.prompt for group in groups for e in group.examples]
    assert len(prompts) == len(set(prompts)) == 6


def test_facts_are_json_and_hide_the_options_of_plugins(toy, pairs):
    toy.open()
    toy.vote(pairs(1)[0], "ann", Choice.LEFT)
    backend = toy.config.backend.model_copy(update={"options": {"token": "hush"}})
    toy.config = toy.config.model_copy(update={"backend": backend})
    text = json.dumps(toy.facts().as_json())
    assert "hush" not in text
    assert "token" in text
