"""Questions as tasks of Label Studio, and annotations as votes: pure functions.

Left and right are decided by pairloop and are in the task's data as they are displayed; nothing here flips anything.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from pairloop.kit.canonical import canonical_json, digest
from pairloop.kit.text import clean
from pairloop.records import Annotation, Choice, Prelabel, PromptContent, Task
from pairloop_plugins.label_studio.options import LabelStudioOptions, MappingOptions

NAME = "label-studio"
KEY, CAMPAIGN, ROUND = "pairloop_key", "pairloop_campaign", "pairloop_round"
SHOWN = "pairloop_shown"
_LONGEST_REASON = 20_000
_SPREAD = 1000.0  # places in a batch after which the scores of its end come close to each other
_INVISIBLE = "\u200b"

Json = dict[str, Any]


class Unreadable(ValueError):
    """An annotation that the mapping gives no meaning; the text says which and why."""


@dataclass(frozen=True, slots=True)
class Said:
    """What an annotation says, as it is kept; equal content is no new revision."""

    annotator: str
    choice: str
    prompt_rating: int | None
    reason: str | None
    seconds: float | None
    prelabel_shown: bool
    submitted_at: str | None

    def to_json(self) -> str:
        """Canonical JSON."""
        return canonical_json(asdict(self))


# -------------------------------------------------------------------------------------------------- going out


def data_of(task: Task, campaign: str, options: LabelStudioOptions) -> Json:
    """The data of a task: the texts under the mapping's fields, and what it is found by.

    Every value is a text, but for the list of a ranker.
    """
    fields = options.mapping
    shown = [conversation(task.prompt), task.left, task.right]
    prompt, left, right = [harmless(text) for text in shown] if options.markdown else shown
    found = {KEY: task.key, CAMPAIGN: campaign, ROUND: str(task.round)}
    if fields.items is not None:
        items = [{"id": "left", "title": "A", "body": left}, {"id": "right", "title": "B", "body": right}]
        return {fields.prompt: prompt, fields.items: items, **found}
    return {fields.prompt: prompt, fields.left: left, fields.right: right, **found}


def conversation(prompt: PromptContent) -> str:
    """A prompt as one text; the turns of a conversation under the names of their speakers."""
    if isinstance(prompt, str):
        return prompt
    return "\n\n".join(f"[{message.role}]\n{message.content}" for message in prompt)


def harmless(text: str) -> str:
    """Markdown that loads nothing: an invisible blank breaks up tags and images, which look as they were written."""
    return text.replace("<", "<" + _INVISIBLE).replace("![", "!" + _INVISIBLE + "[").replace("&", "&" + _INVISIBLE)


def texts_digest(data: Mapping[str, Any], mapping: MappingOptions) -> str:
    """What tells whether somebody edited the texts of a task."""
    return digest([str(text) for text in texts_of(data, mapping)])[:16]


def texts_of(data: Mapping[str, Any], mapping: MappingOptions) -> tuple[Any, Any, Any]:
    """Prompt, left and right as a task holds them; None for what is not there."""
    if mapping.items is None:
        return data.get(mapping.prompt), data.get(mapping.left), data.get(mapping.right)
    left, right = (item.get("body", item.get("title")) for item in items_of(data, mapping) or [{}, {}])
    return data.get(mapping.prompt), left, right


def items_of(data: Mapping[str, Any], mapping: MappingOptions) -> list[Json] | None:
    """The two items of a ranker's list; None where there are not two with different ids."""
    listed = data.get(mapping.items or "")
    if not isinstance(listed, list) or len(listed) != 2 or not all(isinstance(item, dict) for item in listed):
        return None
    return listed if listed[0].get("id") != listed[1].get("id") else None


def payload(task: Task, campaign: str, options: LabelStudioOptions) -> Json:
    """A task for an import, with its prediction."""
    shown = task.prelabel is not None and task.prelabel.shown
    out: Json = {"data": data_of(task, campaign, options), "meta": {SHOWN: shown}}
    if task.prelabel is not None:
        out["predictions"] = [prediction(task.prelabel, task.rank, False, campaign, options)]
    return out


# ------------------------------------------------------------------------------------------------ predictions


def version_of(model: str, campaign: str) -> str:
    """The ``model_version`` of a reward model's predictions."""
    return f"pairloop {campaign} {model[:12]}"


def prediction(guess: Prelabel, rank: int, left_over: bool, campaign: str, options: LabelStudioOptions) -> Json:
    """A prediction. ``left_over``: a question of an earlier round, which comes after those of the new batch."""
    full = guess.shown or options.hidden_guess == "full"
    return {
        "model_version": version_of(guess.model, campaign),
        "score": score(guess, rank, left_over, options),
        "result": guess_result(guess.choice, options.mapping) if full else [],
    }


def score(guess: Prelabel, rank: int, left_over: bool, options: LabelStudioOptions) -> float:
    """In [0, 1]; uncertainty sampling serves the lowest first.

    By "batch" it is the place in the order of the batch, by "uncertainty" the confidence |2p − 1|.
    """
    if options.order == "uncertainty":
        return round(abs(2.0 * guess.p_left - 1.0), 6)
    place = (rank + 1) / (rank + 1 + _SPREAD)
    return round(0.5 * (place + left_over), 12)


def guess_result(choice: Choice, mapping: MappingOptions) -> list[Json]:
    """The regions that say ``choice``; [] where the config has no value for it."""
    if mapping.kind == "pairwise":
        if choice not in (Choice.LEFT, Choice.RIGHT):
            return []
        # The form that the validator of predictions takes; the interface fills in from it as well.
        side = {"from_name": mapping.preference, "to_name": mapping.to_name, "type": "pairwise"}
        return [{**side, "value": {"selected": choice.value}}]
    value = next((value for value, means in mapping.choices.items() if means is choice), None)
    if value is None or mapping.kind != "choices":
        return []  # a guess that is shown as stars or as a ranking would say more than the model knows
    return [{"from_name": mapping.preference, "to_name": mapping.to_name, "type": "choices",
             "value": {"choices": [value]}}]  # fmt: skip


def prediction_problem(made: Json, mapping: MappingOptions) -> str | None:
    """Why the server would drop this prediction without a word, or None."""
    value = made.get("score")
    if not isinstance(value, float) or not math.isfinite(value) or not 0.0 <= value <= 1.0:
        return f"score = {value!r} is not in [0, 1]"
    if not made.get("model_version"):
        return "it has no model_version"
    for region in made["result"]:
        if region["from_name"] != mapping.preference or region["to_name"] != mapping.to_name:
            return f"it is about {region['from_name']!r}, which is not the control of the mapping"
        for chosen in region["value"].get("choices", []):
            if chosen not in mapping.choices:
                return f"{chosen!r} is no value of {mapping.preference!r}"
    return None


# --------------------------------------------------------------------------------------------------- coming in


def said(
    annotation: Mapping[str, Any], shown: bool, mapping: MappingOptions, data: Mapping[str, Any] | None = None
) -> Said:
    """What an annotation says; ``data`` of its task tells which item of a ranker is the left one.

    An annotation without a preference that was submitted all the same counts as a skip, like one that was cancelled:
    Label Studio shows the task to nobody again.

    Raises:
        Unreadable: it holds something that the mapping gives no meaning.
    """
    regions = annotation.get("result") or []
    if not isinstance(regions, list) or not all(isinstance(region, dict) for region in regions):
        raise Unreadable("its result is no list of regions")
    choice = Choice.SKIP if annotation.get("was_cancelled") else _preference(regions, mapping, data or {})
    accepted = annotation.get("parent_prediction") is not None or any(
        str(region.get("origin", "")).startswith("prediction") for region in regions
    )
    return Said(
        annotator=_annotator(annotation.get("completed_by")),
        choice=choice.value,
        prompt_rating=_rating(regions, mapping),
        reason=_reason(regions, mapping),
        seconds=_seconds(annotation.get("lead_time")),
        prelabel_shown=shown or accepted,
        submitted_at=_text(annotation.get("created_at")),
    )


def revision(annotation: Mapping[str, Any], content: str) -> str:
    """The server's time of the last change and a digest: going back to an earlier answer is a revision, too."""
    return f"{_text(annotation.get('updated_at')) or '?'}-{digest(content)[:12]}"


def remote_id(annotation: Mapping[str, Any]) -> str:
    """Id and time of creation: a server that was restored from a backup gives ids a second time."""
    return f"{annotation['id']}-{digest(_text(annotation.get('created_at')))[:8]}"


def vote(key: str, remote: str, rev: str, content: Mapping[str, Any], deleted: bool) -> Annotation:
    """The vote as the campaign stores it."""
    fields = {**content, "choice": Choice(content["choice"])}
    return Annotation(
        key=key,
        backend=NAME,
        remote_id=remote,
        revision=f"{rev}-deleted" if deleted else rev,
        deleted=deleted,
        **fields,
    )


def _regions(regions: list[Json], name: str | None, kind: str) -> list[Json]:
    found = [r for r in regions if name is not None and r.get("from_name") == name and r.get("type") == kind]
    return [r["value"] for r in found if isinstance(r.get("value"), dict)]


def _preference(regions: list[Json], mapping: MappingOptions, data: Mapping[str, Any]) -> Choice:
    if mapping.kind == "ratings":
        return _by_stars(regions, mapping)
    values = _regions(regions, mapping.preference, mapping.kind)
    if not values:
        return Choice.SKIP
    said_ = {_meaning(value, mapping, data) for value in values}
    if len(said_) != 1:
        raise Unreadable(f"it says several things: {', '.join(sorted(said_))}")
    return said_.pop()


def _by_stars(regions: list[Json], mapping: MappingOptions) -> Choice:
    stars = [_stars(regions, name) for name in (mapping.preference, mapping.second)]
    left, right = stars
    if left is None and right is None:
        return Choice.SKIP
    if left is None or right is None:
        raise Unreadable("only one of the two responses is rated")
    return Choice.TIE if left == right else Choice.LEFT if left > right else Choice.RIGHT


def _stars(regions: list[Json], name: str | None) -> float | None:
    found = {value.get("rating") for value in _regions(regions, name, "rating")}
    if not found:
        return None
    number = found.pop()
    if found or isinstance(number, bool) or not isinstance(number, int | float):
        raise Unreadable(f"{name!r} holds no single number of stars")
    return float(number)


def _first_ranked(value: Json, mapping: MappingOptions, data: Mapping[str, Any]) -> Choice:
    ranked = value.get("ranker")
    lists = [ranked] if isinstance(ranked, list) else list(ranked.values()) if isinstance(ranked, dict) else []
    items = items_of(data, mapping)
    if items is None or len(lists) != 1 or not isinstance(lists[0], list):
        raise Unreadable("it is no ranking of two responses")
    sides = {str(items[0].get("id")): Choice.LEFT, str(items[1].get("id")): Choice.RIGHT}
    order = [str(each) for each in lists[0]]
    if sorted(order) != sorted(sides):
        raise Unreadable(f"it ranks {len(order)} items that are not the two responses")
    return sides[order[0]]


def _meaning(value: Json, mapping: MappingOptions, data: Mapping[str, Any]) -> Choice:
    if mapping.kind == "ranker":
        return _first_ranked(value, mapping, data)
    if mapping.kind == "pairwise":
        selected = value.get("selected")
        if selected not in ("left", "right"):
            raise Unreadable(f"{selected!r} is no side")
        return Choice(selected)
    chosen = value.get("choices")
    if not isinstance(chosen, list) or len(chosen) != 1 or chosen[0] not in mapping.choices:
        raise Unreadable(f"the choice {chosen!r} has no meaning in backend.options.mapping.choices")
    return mapping.choices[chosen[0]]


def _rating(regions: list[Json], mapping: MappingOptions) -> int | None:
    for value in _regions(regions, mapping.rating, "rating"):
        number = value.get("rating")
        if isinstance(number, int) and not isinstance(number, bool) and 1 <= number <= 5:
            return number
    return None


def _reason(regions: list[Json], mapping: MappingOptions) -> str | None:
    parts: list[str] = []
    for value in _regions(regions, mapping.reason, "textarea"):
        text = value.get("text")
        parts += [str(part) for part in (text if isinstance(text, list) else [text]) if part]
    return clean("\n".join(parts))[:_LONGEST_REASON] or None


def _annotator(user: Any) -> str:
    """Number of the user: names and addresses stay on the server."""
    number = user.get("id") if isinstance(user, dict) else user
    return f"user-{number}" if isinstance(number, int) else "user-unknown"


def _seconds(value: Any) -> float | None:
    usable = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value >= 0
    return round(float(value), 3) if usable else None


def _text(value: Any) -> str | None:
    return clean(value) if isinstance(value, str) else None
