"""The checks over all rows: findings counted with examples, and responses removed where an action says so."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pairloop.config import CurationConfig
from pairloop.curation import checks
from pairloop.curation.overlap import EvaluationTexts
from pairloop.kit.text import plain
from pairloop.records import RejectedRow, SourceRow

EXAMPLES = 5
_EXCERPT = 200


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that a check found.

    Attributes:
        check: which; also the key of its action in the configuration.
        line: of the row; ``response``: which of its responses, from 1; 0 for the prompt.
        why: in words; ``text``: its beginning.
        removed: the response (or, for a prompt, the row) was left out.
        again: the same was found before, for the same text and prompt in another row.
    """

    check: str
    line: int
    response: int
    why: str
    text: str
    removed: bool
    again: bool = False

    def as_json(self) -> dict[str, Any]:
        """For files and ``--json``."""
        return {
            "check": self.check,
            "line": self.line,
            "response": self.response,
            "why": self.why,
            "text": self.text,
            "removed": self.removed,
        }


@dataclass
class Curated:
    """What is left of the rows, and what was found.

    Attributes:
        rows: to import; ``rejected``: rows of which too little is left.
        votes_removed: recorded votes about responses that were left out.
        clusters: of all prompts, largest first: ``size``, ``words`` and ``typical`` (beginnings of prompts).
    """

    rows: list[SourceRow] = field(default_factory=list)
    rejected: list[RejectedRow] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    votes_removed: int = 0
    clusters: list[dict[str, Any]] = field(default_factory=list)

    def summary(self, config: CurationConfig) -> dict[str, Any]:
        """Counts and examples by check, every check that is on in the order of the configuration.

        A response that stands in several rows counts once, as the import merges it.
        """
        checks_on = {}
        for name in _CHECKS:
            action = getattr(config, name)
            if action == "off":
                continue
            found = [finding for finding in self.findings if finding.check == name and not finding.again]
            checks_on[name] = {
                "action": action,
                "found": len(found),
                "removed": sum(finding.removed for finding in found),
                "examples": [finding.as_json() for finding in found[:EXAMPLES]],
            }
        return {"checks": checks_on, "votes_removed": self.votes_removed, "clusters": self.clusters}


_CHECKS = (
    "empty", "too_short", "repeated", "cut_off", "other_language", "wrong_encoding", "near_duplicate", "outlier",
    "evaluation",
)  # fmt: skip


def curate(rows: Sequence[SourceRow], config: CurationConfig, evaluation: EvaluationTexts | None) -> Curated:
    """Check all rows, in their order.

    A response is left out when any check whose action is "remove" finds something; a row of which fewer than two
    different responses are left is rejected. The same rows and settings give the same result.
    """
    result = Curated()
    strange: set[str] = set()
    if config.outlier != "off":
        result.clusters, strange = _clustered(list(dict.fromkeys(plain(row.prompt) for row in rows)))
    seen: set[tuple[str, str, str | None]] = set()
    for row in rows:
        found = [_counted(finding, row, seen) for finding in _findings(row, config, evaluation, strange)]
        result.findings += found
        gone = {finding.response - 1 for finding in found if finding.removed}
        if not gone:
            result.rows.append(row)
            continue
        kept = None if -1 in gone else _without(row, gone)
        result.votes_removed += len(row.recorded) - (0 if kept is None else len(kept.recorded))
        if kept is None:
            names = ", ".join(sorted({finding.check for finding in found if finding.removed}))
            result.rejected.append(RejectedRow(row.line, f"removed by curation: {names}", plain(row.prompt)[:80]))
        else:
            result.rows.append(kept)
    return result


def _clustered(prompts: list[str]) -> tuple[list[dict[str, Any]], set[str]]:
    """Clusters as JSON values, and the prompts that are like no other."""
    from pairloop.curation.clusters import overview

    found = overview(prompts)
    if found is None:
        return [], set()
    clusters = [
        {"size": c.size, "words": list(c.words), "typical": [prompts[i][:_EXCERPT] for i in c.typical]}
        for c in found.clusters
    ]
    return clusters, {prompts[i] for i in found.outliers}


def _counted(finding: Finding, row: SourceRow, seen: set[tuple[str, str, str | None]]) -> Finding:
    """The finding, marked where it is about a response (None: the prompt) that was found before."""
    text = row.responses[finding.response - 1].text if finding.response else None
    key = (finding.check, plain(row.prompt), text)
    if key in seen:
        return replace(finding, again=True)
    seen.add(key)
    return finding


def _findings(
    row: SourceRow, config: CurationConfig, evaluation: EvaluationTexts | None, strange: Collection[str]
) -> Iterator[Finding]:
    prompt = plain(row.prompt)
    if prompt in strange:
        yield from _found(row, config, "outlier", 0, prompt, "the prompt is like no other")
    texts = [response.text for response in row.responses]
    if evaluation is not None and config.evaluation != "off":
        yield from _found(row, config, "evaluation", 0, prompt, evaluation.overlap(prompt))
    for place, text in enumerate(texts, 1):
        for name, why in _reasons(text, prompt, [*texts[: place - 1], *texts[place:]], config):
            yield from _found(row, config, name, place, text, why)
        if evaluation is not None and config.evaluation != "off":
            yield from _found(row, config, "evaluation", place, text, evaluation.overlap(text))
    if config.near_duplicate != "off":
        for place, why in _near_duplicates(texts, config.near_duplicate_at):
            yield from _found(row, config, "near_duplicate", place, texts[place - 1], why)


def _reasons(
    text: str, prompt: str, siblings: Sequence[str], config: CurationConfig
) -> Iterator[tuple[str, str | None]]:
    if config.empty != "off":
        yield "empty", checks.empty(text)
    if config.too_short != "off":
        yield "too_short", checks.too_short(text, config.short_below)
    if config.repeated != "off":
        yield "repeated", checks.repeated(text, config.repeated_above)
    if config.cut_off != "off":
        yield "cut_off", checks.cut_off(text, siblings)
    if config.other_language != "off":
        yield (
            "other_language",
            checks.other_language(text, prompt) or (_language(text, prompt) if config.languages else None),
        )
    if config.wrong_encoding != "off":
        yield "wrong_encoding", checks.wrong_encoding(text)


def _language(text: str, prompt: str) -> str | None:
    from pairloop.curation.languages import another_language

    return another_language(text, prompt)


def _found(
    row: SourceRow, config: CurationConfig, check: str, place: int, text: str, why: str | None
) -> Iterator[Finding]:
    if why is not None:
        yield Finding(check, row.line, place, why, text[:_EXCERPT], getattr(config, check) == "remove")


def _near_duplicates(texts: Sequence[str], limit: float) -> Iterator[tuple[int, str]]:
    """Later ones of responses that are nearly the same; those that are exactly the same are merged by the import."""
    from pairloop.kit.near_duplicates import near_duplicate_links

    places = [place for place, text in enumerate(texts) if text.strip()]
    for i, j in near_duplicate_links([texts[place] for place in places], limit):
        one, other = places[i], places[j]
        if texts[one] != texts[other]:
            yield other + 1, f"nearly the same as response {one + 1}"


def _without(row: SourceRow, gone: set[int]) -> SourceRow | None:
    """The row without these responses, indices moved; None where no pair is left."""
    left = [place for place in range(len(row.responses)) if place not in gone]
    if len({row.responses[place].text for place in left}) < 2:
        return None
    moved = {old: new for new, old in enumerate(left)}
    pairs = None
    if row.pairs is not None:
        pairs = tuple((moved[i], moved[j]) for i, j in row.pairs if i in moved and j in moved)
        if not pairs:
            return None
    recorded = tuple(((moved[i], moved[j]), vote) for (i, j), vote in row.recorded if i in moved and j in moved)
    return replace(row, responses=tuple(row.responses[i] for i in left), pairs=pairs, recorded=recorded)
