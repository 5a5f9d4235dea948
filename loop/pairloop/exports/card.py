"""The data card: what an export is, how it came about, and what is known to be wrong with it.

Numbers are those of the report at the moment of the export. Nothing of it depends on the clock or the machine, so that
the same campaign gives the same card.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pairloop.config import Config
from pairloop.exports.yaml_head import data_header, header
from pairloop.metrics import Estimate
from pairloop.report.facts import Facts
from pairloop.report.numbers import interval, percent, plural, short, signed


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written.

    Attributes:
        rows: by the name of their file or split. what: one row each, such as "pair" or "vote".
        left_out: votes that are in no row, by reason. arms: only these; empty: all.
        pseudonyms: annotators are not called by their names. license_name: identifier, "unknown" where none is given.
        loading: more keys of the header. margin: what the column margin holds, None without one.
    """

    rows: Mapping[str, int]
    what: str
    license_name: str
    pseudonyms: bool
    left_out: Mapping[str, int] = field(default_factory=dict)
    arms: Sequence[str] = ()
    loading: Mapping[str, Any] = field(default_factory=dict)
    margin: str | None = None


def data_card(facts: Facts, config: Config, exported: Exported) -> str:
    """Markdown with the hub's YAML header."""
    total = sum(exported.rows.values())
    head = header({**data_header(facts.name, total, exported.license_name), **exported.loading})
    sections = {
        "What it is": _what(facts, exported),
        "How the pairs were chosen": _chosen(facts, config),
        "Agreement": _agreement(facts),
        "Known biases": _biases(facts),
        "Annotators": _annotators(facts, exported),
        "Licence": _licence(exported),
        "Versions": _versions(facts),
    }
    return head + f"\n# Preferences of {facts.name}\n" + "".join(_section(*item) for item in sections.items())


def _section(title: str, lines: Iterable[str]) -> str:
    return f"\n## {title}\n\n" + "\n".join(lines) + "\n"


def _what(facts: Facts, exported: Exported) -> Iterator[str]:
    yield "Answers to the question which of two responses is the better answer to a prompt."
    yield ""
    yield from table(("rows of", f"one row a {exported.what}"), exported.rows.items())
    yield ""
    if exported.arms:
        yield f"- Only rows of these arms: {', '.join(sorted(exported.arms))}."
    for reason, votes in exported.left_out.items():
        yield f"- Left out: {plural(votes, 'vote')} ({reason})."
    if any(name.endswith("test") for name in exported.rows):
        yield "- `test` is the holdout side of the campaign: its reward model never trained on a group of it."
    if any(name.startswith("ties") for name in exported.rows):
        yield "- `ties` are pairs that nobody won. They have no chosen and no rejected response."
    if exported.margin is not None:
        yield f"- `margin`: {exported.margin}."
    yield f"- The campaign has {plural(facts.votes, 'vote')}: {_counted(facts.choices)}."


def _chosen(facts: Facts, config: Config) -> Iterator[str]:
    selection = config.selection
    yield (
        f"- The strategy `{selection.strategy}` chose, but for {selection.random_share:.0%} of each batch, drawn at "
        f"random from the training side, and {config.holdout.share:.0%} from the holdout side."
    )
    by_arm: dict[str, int] = {}
    for each in facts.rounds:
        for arm, votes in each.by_arm.items():
            by_arm[arm] = by_arm.get(arm, 0) + votes
    yield f"- Votes by arm: {_counted(by_arm)}."
    yield (
        "- Rows of the arms `active` and `fresh` are no random sample: what is estimated from them, such as how often "
        "a model wins, is about the pairs that were worth asking. `random` and `holdout` are random samples of a side."
    )


def _agreement(facts: Facts) -> Iterator[str]:
    found = facts.agreement
    if found.raw is None:
        yield f"Not measured: {plural(found.pairs, 'pair')} with the votes of two people, and 20 are needed."
        return
    yield f"Of {plural(found.pairs, 'pair')} that two people or more of {found.annotators} judged:"
    yield ""
    yield f"- Two people say the same: {_share(found.raw)}; where both chose a side: {_share(found.decisive)}."
    alpha = "not defined, as everybody always said the same" if found.alpha is None else _number(found.alpha)
    yield f"- Krippendorff's alpha (nominal): {alpha}."


def _biases(facts: Facts) -> Iterator[str]:
    position, length = facts.habits.position[0], facts.habits.length[0]
    yield f"- Position: the response displayed on the left won {_share(position.estimate)} of the decisive votes."
    if facts.fitted_position is not None:
        yield (
            f"- Position, with the quality of the responses taken out: log-odds {_number(facts.fitted_position)} "
            "for the left (0: none)."
        )
    yield f"- Length: the longer response won {_share(length.estimate)} of the decisive votes."
    if facts.anchoring is None:
        yield "- Anchoring: no annotator was shown a model's guess."
    else:
        more = _share(facts.anchoring.difference)
        yield f"- Anchoring: votes agree with the model's guess more often where it was shown, by {more}."


def _annotators(facts: Facts, exported: Exported) -> Iterator[str]:
    kinds = {kind: votes for kind, votes in facts.people.by_kind.items() if votes}
    yield f"- {plural(facts.people.count, 'annotator')}; votes by kind: {_counted(kinds)}."
    excluded = sum(row.excluded is not None for row in facts.people.rows)
    yield f"- {plural(excluded, 'annotator')} excluded by a person's decision."
    if exported.pseudonyms:
        yield "- People have pseudonyms, the same in every export of this campaign. Reasons are as they wrote them."
    else:
        yield "- People have the names under which they answered."


def _licence(exported: Exported) -> Iterator[str]:
    if exported.license_name == "unknown":
        yield "Not said. Prompts and responses keep the terms under which they came."
    else:
        yield f"`{exported.license_name}`, as the owner of the campaign says."


def _versions(facts: Facts) -> Iterator[str]:
    made = facts.provenance
    yield f"- pairloop {made.versions['pairloop']}; campaign `{made.campaign_id}`, seed {made.seed}."
    yield f"- Votes up to row {made.log_rows} of the campaign's log; configuration `{made.config_digest[:12]}`."


def table(titles: tuple[str, str], rows: Iterable[tuple[str, Any]]) -> Iterator[str]:
    """A Markdown table of two columns."""
    yield f"| {titles[0]} | {titles[1]} |"
    yield "|---|---:|"
    for name, value in rows:
        yield f"| {name} | {short(value) if isinstance(value, float) else value} |"


def _counted(values: Mapping[str, int]) -> str:
    return ", ".join(f"{n:,} {name}" for name, n in values.items() if n) or "none"


def _share(estimate: Estimate | None) -> str:
    return "(not measured)" if estimate is None else f"{percent(estimate)} {interval(estimate)}"


def _number(estimate: Estimate) -> str:
    return f"{signed(estimate.value)} {interval(estimate, percent=False)}"
