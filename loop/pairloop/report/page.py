"""The page: facts and plots through one Jinja2 template, escaped by default."""

import json
from collections.abc import Callable
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from pairloop.leaderboard.board import POINTS, rating
from pairloop.metrics import Estimate
from pairloop.records import PromptContent
from pairloop.report import numbers, plots, visible
from pairloop.report.advice import advice
from pairloop.report.facts import Facts
from pairloop.report.learning import FEWEST
from pairloop.report.verdict import verdict

_STEPS = 3  # of tuning; fewer make no curve


def render(facts: Facts) -> str:
    """The report as one HTML document that needs nothing else."""
    environment = Environment(
        loader=PackageLoader("pairloop.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        visible=visible.visible,
        one_line=visible.one_line,
        folded=visible.folded,
        short=numbers.short,
        plural=numbers.plural,
        signed=numbers.signed,
        rated=_rated,
        rating=rating,
        tally=lambda votes: f"{votes:,.1f}".removesuffix(".0"),
        points=lambda score: f"{POINTS * score:+.0f}".replace("-", numbers.MINUS),
        pct=lambda value: "–" if value is None else f"{100 * value:.0f} %",
        share=_share,
        amount=_amount,
        anytime=_anytime,
        fewer=_fewer,
        spread=lambda estimate: f"{numbers.amount(estimate)} {numbers.interval(estimate, percent=False)}",
        turns=turns,
        json=lambda value: json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False),
    )
    return environment.get_template("report.html.j2").render(
        f=facts, verdict=verdict(facts), advice=advice(facts), plots=_plots(facts), fewest=FEWEST
    )


def turns(content: PromptContent) -> list[tuple[str, str]]:
    """(role, text) of each turn; a plain prompt is one turn without a role."""
    return [("", content)] if isinstance(content, str) else [(turn.role, turn.content) for turn in content]


def _share(estimate: Estimate | None, unit: str = "group") -> Markup:
    """An estimate in per cent with interval and n, as HTML."""
    return _estimate(estimate, numbers.percent, unit, percent=True)


def _amount(estimate: Estimate | None, unit: str = "group") -> Markup:
    """An estimate as a plain number with interval and n, as HTML."""
    return _estimate(estimate, numbers.amount, unit, percent=False)


def _rated(score: Estimate) -> Markup:
    """A score of the leaderboard as a rating with its interval, as HTML."""
    html = Markup('{:.0f} <span class="ci">{}</span>')
    if score.low is None or score.high is None:
        return html.format(rating(score.value), "[no interval]")
    return html.format(rating(score.value), f"[{rating(score.low):.0f}, {rating(score.high):.0f}]")


def _anytime(found: dict[str, Any]) -> Markup:
    """A difference with its confidence sequence, as HTML."""
    html = Markup('<span class="est">{}</span> <span class="ci">[{}, {}]</span> <span class="n">{}</span>')
    low, value, high = (numbers.signed(found[name], 4) for name in ("low", "value", "high"))
    return html.format(value, low, high, f"n = {numbers.plural(found['n'], 'question')}")


def _fewer(fraction: float) -> str:
    """A fraction of votes as a saving."""
    if fraction == 1.0:
        return "as many"
    return f"{100 * abs(1 - fraction):.0f} % {'fewer' if fraction < 1 else 'more'}"


def _estimate(estimate: Estimate | None, write: Callable[[Estimate], str], unit: str, *, percent: bool) -> Markup:
    if estimate is None:
        return Markup('<span class="none">not enough votes</span>')
    html = Markup('<span class="est">{}</span> <span class="ci">{}</span> <span class="n">{}</span>')
    parts = write(estimate), numbers.interval(estimate, percent=percent), numbers.count(estimate, unit)
    return html.format(*parts)


def _plots(facts: Facts) -> dict[str, Any]:
    """The plots that there are enough votes for."""
    names = ("learning", "cost", "arms", "contest", "reliability", "votes")
    out: dict[str, Any] = {**dict.fromkeys(names), "tunings": []}
    measured = [p for p in facts.points if p.rejected is None and p.accuracy is not None and p.log_loss is not None]
    if measured and measured[-1].accuracy is not None and measured[-1].accuracy.n >= FEWEST:
        out["learning"] = plots.learning_curve(measured, against="votes")
        if measured[-1].cost > 0:
            out["cost"] = plots.learning_curve(measured, against="cost")
    if facts.arms:
        out["arms"] = plots.arms(facts.arms)
    if facts.contest is not None and facts.contest.questions:
        out["contest"] = plots.contest(facts.contest)
    if facts.calibration.bins:
        out["reliability"] = plots.reliability(facts.calibration)
    if facts.votes:
        out["votes"] = plots.votes_by_round(facts.rounds)
    for found in facts.tunings:
        drawn = [plots.tuning(found)] if sum(step.reward is not None for step in found.steps) >= _STEPS else []
        drawn += [plots.best_of(found)] if len(found.best_of) >= 2 else []
        out["tunings"].append(drawn)
    return out
