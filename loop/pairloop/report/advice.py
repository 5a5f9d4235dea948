"""What to do next: small rules, each a function of the facts."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from pairloop.report.estimates import side_of, width
from pairloop.report.facts import Facts
from pairloop.report.numbers import amount, count, interval, percent, plural

ACT, LOOK, NOTE = "act", "look", "note"
_ORDER = (ACT, LOOK, NOTE)


@dataclass(frozen=True, slots=True)
class Advice:
    """One piece of advice: "act" (something is wrong), "look" (worth a look) or "note" (good to know)."""

    level: str
    title: str
    text: str


def advice(facts: Facts) -> tuple[Advice, ...]:
    """All that applies, most urgent first."""
    found = [item for rule in _RULES for item in rule(facts)]
    return tuple(sorted(found, key=lambda item: _ORDER.index(item.level)))


# ------------------------------------------------------------------------------------------------- rules


def _start(facts: Facts) -> Iterator[Advice]:
    if not facts.votes:
        yield Advice(
            ACT, "Start the campaign", "Run: pairloop run. With people at work, run it again (or by cron) to collect."
        )
    waiting = facts.rounds[-1].open if facts.rounds else 0
    if waiting:
        yield Advice(
            NOTE, f"{plural(waiting, 'question')} of the last round await an answer", "Collect: pairloop step."
        )


def _rejected(facts: Facts) -> Iterator[Advice]:
    last = facts.points[-1] if facts.points else None
    if last is not None and last.rejected is not None:
        still = "The model before it stays in use." if facts.model else "There is no model in use."
        yield Advice(ACT, f"The fit of round {last.round} was rejected", f"{last.rejected}. {still}")


def _holdout(facts: Facts) -> Iterator[Advice]:
    accuracy = facts.model.accuracy if facts.model else None
    if facts.model is not None and accuracy is None:
        yield Advice(ACT, "Nothing measures the model", "No decisive holdout vote: raise holdout.share above 0.")
    if accuracy is None:
        return
    groups = facts.supply.holdout_groups
    if groups < 10:
        yield Advice(
            ACT if groups < 3 else LOOK,
            f"The holdout has only {plural(groups, 'group')}, so intervals are wide",
            "Votes within a group hang together, so more votes there help little. Import more groups, split them more "
            "finely, or raise holdout.fraction in the next campaign (the split of this one is fixed).",
        )
    elif (width(accuracy) or 1.0) > 0.15:
        yield Advice(
            LOOK,
            f"The holdout accuracy is known only to within {100 * (width(accuracy) or 1.0):.0f} points",
            f"It rests on {count(accuracy)}. A higher holdout.share narrows it; four times the votes halve it.",
        )


def _learning(facts: Facts) -> Iterator[Advice]:
    model = facts.model
    if model is None or model.accuracy is None:
        return
    if side_of(model.accuracy, 0.5) <= 0 and facts.votes >= 200:
        yield Advice(
            LOOK,
            "The model is not clearly better than a coin",
            "Read the examples: do people disagree, or does the model not see what matters? Another reward.model (or "
            "its features) may help more than more votes.",
        )
    if model.flip_rate is not None and model.flip_rate >= 0.15:
        yield Advice(
            LOOK,
            f"The model takes {100 * model.flip_rate:.0f} % of the votes for slips",
            "Check the instructions and the annotators below: unclear criteria, haste and guessing look like this.",
        )
    if facts.calibration.ece is not None and side_of(facts.calibration.ece, 0.02) > 0:
        yield Advice(
            LOOK,
            "The model's probabilities are off",
            f"Calibration error {percent(facts.calibration.ece)} {interval(facts.calibration.ece)}. Trust the order of "
            "its predictions more than their size; a larger selection.random_share gives calibration more votes.",
        )
    for note in model.notes:
        yield Advice(NOTE, "The reward model notes", note[:1].upper() + note[1:] + ".")


def _selecting(facts: Facts) -> Iterator[Advice]:
    found = facts.contest
    if found is not None and found.random_chooses:
        yield Advice(
            LOOK,
            f"Random choice has taken over since round {found.state['since']}",
            f"{found.state['reason'][:1].upper()}{found.state['reason'][1:]}. The strategy keeps a small share of each "
            "batch and comes back when it is proven better; another strategy starts afresh.",
        )
        return
    verdict = facts.arms_verdict
    if found is not None and found.state["difference"] is not None:
        verdict = {"worse": "costs", "gain": "pays"}.get(found.state["verdict"], "open")
    if verdict == "costs":
        yield Advice(
            ACT,
            "Active selection does worse than random choice here",
            'Set selection.strategy = "random", or try another strategy; the votes so far stay useful.',
        )
    elif verdict == "open" and len(facts.arms) >= 3:
        yield Advice(
            LOOK,
            "It cannot be told whether active selection pays",
            "The interval of the difference includes zero. A larger selection.random_share and a larger holdout "
            "settle it sooner; random selection is the safe choice until then.",
        )


def _more_votes(facts: Facts) -> Iterator[Advice]:
    if facts.outlook is None:
        return
    found = facts.outlook["advice"]
    if found["level"] != "unknown":
        stop = found["level"] == "consider_stopping"
        yield Advice(LOOK if stop else NOTE, "More votes?", f"{found['sentence']} The evidence is below.")


def _agreement(facts: Facts) -> Iterator[Advice]:
    alpha = facts.agreement.alpha
    if alpha is not None and alpha.high is not None and alpha.high < 0.67:
        yield Advice(
            LOOK,
            f"Annotators agree little (alpha {amount(alpha)} {interval(alpha, percent=False)})",
            "Read together the pairs on which people disagreed most, and add such cases to the instructions.",
        )
    if facts.votes and facts.people.count == 1:
        yield Advice(NOTE, "One annotator", "The model learns one person's taste, and agreement cannot be measured.")
    elif facts.votes >= 100 and facts.agreement.alpha is None and facts.agreement.pairs < 20:
        yield Advice(
            NOTE,
            "Agreement between annotators is not measured",
            f"{plural(facts.agreement.pairs, 'pair')} with two votes. A round with round.replicas = 2 would tell how "
            "far the votes can be trusted; for learning, one vote on more pairs is worth more.",
        )


def _annotators(facts: Facts) -> Iterator[Advice]:
    odd = [row for row in facts.people.rows if row.remarks]
    if odd:
        names = "; ".join(f"{row.name}: {', '.join(row.remarks)}" for row in odd[:5])
        more = f" (and {len(odd) - 5} more)" if len(odd) > 5 else ""
        yield Advice(LOOK, f"{plural(len(odd), 'annotator')} stand out" if len(odd) > 1 else "An annotator stands out",
                     f"{names}{more}. A remark is a reason to talk, not a proof.")  # fmt: skip
    position = facts.habits.position[0].estimate
    if side_of(position, 0.5) and position is not None and abs(position.value - 0.5) > 0.03:
        where = "left" if position.value > 0.5 else "right"
        yield Advice(
            LOOK,
            f"Annotators favour the {where} response",
            f"{percent(position)} {interval(position)} of the decisive votes are for the left one. Sides are drawn at "
            "random, so the model is not fooled, but each such vote tells less.",
        )


def _choices(facts: Facts) -> Iterator[Advice]:
    n = facts.votes
    if n < 20:
        return
    for choice, limit, title, text in _CHOICES:
        found = facts.choices[choice] / n
        if found > limit:
            yield Advice(LOOK, title.format(f"{100 * found:.0f} %"), text)


_CHOICES = (
    ("skip", 0.1, "{} of the questions are skipped", "Ask annotators why: texts too long, a wrong language, missing "
     "knowledge? A skip costs like a vote."),
    ("both_bad", 0.2, "{} of the votes say that both are bad", "Better responses would teach more than more votes "
     "on these; prompts rated bad leave by themselves."),
    ("tie", 0.4, "{} of the votes are ties", "Ties tell little. Pairs from more different models, or a criterion "
     "that settles close calls, would help."),
)  # fmt: skip


def _running(facts: Facts) -> Iterator[Advice]:
    seen = facts.arrivals
    if seen.late > 0.1 * max(seen.new, 1):
        yield Advice(
            LOOK,
            f"{plural(seen.late, 'vote')} came after their round had closed",
            "They train from the next round on, but selection did not know of them. Raise round.close_share or "
            "round.close_after_hours, or make rounds smaller.",
        )
    if seen.revised > 0.05 * max(seen.new, 1):
        yield Advice(NOTE, f"{plural(seen.revised, 'vote')} were revised later", "The last version counts.")
    if seen.unknown:
        yield Advice(
            LOOK,
            f"{plural(seen.unknown, 'reported answer')} belong to no question of this campaign",
            "Does the backend's project also serve another campaign?",
        )
    refused = sum(row.refused for row in facts.rounds)
    if refused:
        yield Advice(LOOK, f"The backend refused {plural(refused, 'question')}", "pairloop doctor shows the reasons.")
    excluded = facts.supply.excluded_prompts
    if excluded:
        yield Advice(
            LOOK if excluded > 0.05 * facts.supply.prompts else NOTE,
            f"{plural(excluded, 'prompt')} of {facts.supply.prompts:,} left the campaign",
            "They are not asked about, trained on or tuned on; see prompts.exclude_below.",
        )


def _resources(facts: Facts) -> Iterator[Advice]:
    for item in facts.spent:
        if item.limit is not None and item.share is not None:
            left = max(item.limit - item.spent - item.reserved, 0.0)
            unit = f" {item.unit}" if item.unit not in ("", item.name) else ""
            title = f"{item.name.capitalize()}: {left:,.6g} of {item.limit:,.6g}{unit} left"
            last = item.name == "votes" and 0 < left < facts.round_size
            text = "Not enough for another full round." if last else ""
            text = "The budget is used up; raise it to go on." if item.share >= 1.0 else text
            yield Advice(NOTE if item.share < 0.9 else LOOK, title, text)
    supply = facts.supply
    left = supply.pairs - supply.asked
    if supply.pairs and facts.votes and left < 3 * facts.round_size:
        yield Advice(
            LOOK,
            f"{plural(max(left, 0), 'pair')} of the training side are left to ask",
            "The strategy has little to choose from. Add responses or prompts, or tune the policy for fresh ones.",
        )
    held = supply.holdout_pairs - supply.holdout_asked
    if supply.holdout_pairs and facts.votes and held <= 0:
        yield Advice(NOTE, "Every holdout pair was asked", "The holdout measure cannot become more precise.")


def _tuned(facts: Facts) -> Iterator[Advice]:
    if not facts.tunings:
        return
    last = facts.tunings[-1]
    if "KL budget" in last.stop_reason and last.stop_reason.startswith("stopped"):
        yield Advice(
            LOOK,
            "The last tuning ran into its KL budget",
            "A smaller learning rate or a larger policy.kl_weight gives more reward for the same KL.",
        )
    for duel in facts.duels[-2:]:
        if duel.opponent == "policy-initial" and side_of(duel.share, 0.5) < 0 and duel.share is not None:
            yield Advice(
                ACT,
                f"Annotators like {duel.tuned} less than the initial policy",
                f"It wins {percent(duel.share)} {interval(duel.share)} of the comparisons: the policy exploits errors "
                "of the reward model. Raise policy.conservatism or policy.kl_weight, and label more of its responses.",
            )


def _anchored(facts: Facts) -> Iterator[Advice]:
    found = facts.anchoring
    if found is None or side_of(found.difference, 0.0) <= 0:
        return
    yield Advice(
        LOOK,
        "The shown guesses sway annotators",
        'Votes agree with the model\'s guess more often where it was shown. Hide it: backend.prelabels = "hidden".',
    )


_RULES: tuple[Callable[[Facts], Iterator[Advice]], ...] = (
    _start, _rejected, _holdout, _learning, _selecting, _more_votes, _agreement, _annotators, _anchored, _choices,
    _running, _tuned, _resources,
)  # fmt: skip
