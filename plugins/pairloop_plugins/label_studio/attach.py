"""A mapping for a labeling config that others wrote: found where it is certain, refused where it is not.

What is guessed is told as sentences, and counts only when a person has said yes to it.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pairloop.errors import ConfigError
from pairloop.records import Choice
from pairloop_plugins.label_studio import labeling
from pairloop_plugins.label_studio.labeling import Control, Parsed
from pairloop_plugins.label_studio.options import MappingOptions

_SIDES = (("left", "right"), ("a", "b"), ("1", "2"), ("0", "1"), ("one", "two"), ("first", "second"))
_FILLERS = frozenset((
    "is", "are", "was", "the", "than", "better", "best", "much", "slightly", "bit", "far", "clearly",
    "significantly", "strongly", "prefer", "preferred", "prefers", "wins", "win", "winner", "choose",
    "chosen", "response", "answer", "option", "candidate", "model", "output", "completion", "reply", "text",
    "more", "it", "this",
))  # fmt: skip
_TIE = frozenset(["tie", "tied", "same", "equal", "equally", "draw", "similar", "identical", "both", "good", "about"])
_BAD = frozenset(["both", "bad", "poor", "wrong", "unacceptable", "all", "equally"])
_UNSURE = frozenset(("skip", "unsure", "unclear"))
_PROMPTS = ("prompt", "question", "instruction", "conversation", "dialogue", "context", "input", "query")

Found = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Proposal:
    """A mapping, and what of it was guessed: sentences, () when everything was given."""

    mapping: MappingOptions
    guessed: tuple[str, ...]


def propose(config: str, given: MappingOptions) -> Proposal:
    """What this config means; what ``given`` sets is taken as it is.

    Raises:
        ConfigError: nothing fits, or more than one thing does; the hint says what to write.
    """
    try:
        parsed = labeling.parse(config)
    except ValueError as error:
        raise ConfigError(f"the labeling config cannot be read: {error}", None) from None
    fixed: Found = {name: getattr(given, name) for name in given.model_fields_set}
    found = {**_control(parsed, fixed), **fixed}
    found = {**_fields(parsed, found), **found}
    found = {**_extras(parsed, found), **found}
    mapping = MappingOptions(**found)
    problems = labeling.problems(config, mapping)
    if problems:
        raise ConfigError("the labeling config does not fit: " + "; ".join(problems), _EXAMPLE)
    return Proposal(mapping, _told(mapping, set(found) - set(fixed)))


def required_elsewhere(config: str, mapping: MappingOptions) -> list[str]:
    """Fields that the config displays and the mapping does not fill: a new task without them is refused."""
    return sorted(set(labeling.parse(config).fields) - set(labeling.fields_of(mapping)))


def meaning(value: str) -> Choice | None:
    """What a value of somebody's Choices says about the two responses, or None where that is not certain."""
    words = [word for word in re.split(r"[^a-z0-9]+", value.lower()) if word]
    left = [word for word in words if word not in _FILLERS]
    for first, second in _SIDES:
        if left in ([first], [second]) and first != "0":
            return Choice.LEFT if left == [first] else Choice.RIGHT
    kept = set(left)
    if kept & {"bad", "poor", "wrong", "unacceptable"} and kept & {"both", "all"} and kept <= _BAD:
        return Choice.BOTH_BAD
    if kept and kept <= _TIE and kept not in ({"both"}, {"good"}, {"about"}):
        return Choice.TIE
    return Choice.SKIP if len(kept) == 1 and kept <= _UNSURE else None


# -------------------------------------------------------------------------------------------------- the control


def _control(parsed: Parsed, fixed: Found) -> Found:
    """The one control that compares; with ``preference`` given, that one."""
    named = fixed.get("preference")
    controls = [c for c in parsed.controls.values() if named is None or c.name == named]
    if not controls:
        raise ConfigError(f"the labeling config has no control {named!r}", _names(parsed))
    found = [made for control in controls if (made := _compares(parsed, control, fixed)) is not None]
    if named is None:
        found += _pairs_of_ratings(parsed)
    if len(found) == 1:
        return found[0]
    if not found:
        raise ConfigError("no control of the labeling config says for certain which response is better: "
                          + _looked_at(parsed), _EXAMPLE)  # fmt: skip
    names = ", ".join(str(each["preference"]) for each in found)
    raise ConfigError(f"several controls could say which response is better: {names}",
                      f"Say which: --set 'mapping={{preference = \"{found[0]['preference']}\"}}'")  # fmt: skip


def _compares(parsed: Parsed, control: Control, fixed: Found) -> Found | None:
    if control.tag == "Pairwise" and len(control.to_names) == 2:
        sides = [parsed.field_of.get(name) for name in control.to_names]
        if None not in sides:
            return {"kind": "pairwise", "preference": control.name, "to_name": control.to_names[0],
                    "left": sides[0], "right": sides[1]}  # fmt: skip
    if control.tag == "Choices" and control.single and len(control.to_names) == 1 and control.values:
        choices = fixed.get("choices") or _meanings(control)
        if choices is not None:
            return {"kind": "choices", "preference": control.name, "to_name": control.to_names[0], "choices": choices}
    if control.tag == "Ranker" and len(control.to_names) == 1 and not control.values:
        items = parsed.field_of.get(control.to_names[0])
        if items is not None:
            return {"kind": "ranker", "preference": control.name, "to_name": control.to_names[0], "items": items}
    if control.tag == "Rating" and "second" in fixed and len(control.to_names) == 1:
        return {"kind": "ratings", "preference": control.name, "to_name": control.to_names[0]}
    return None


def _meanings(control: Control) -> dict[str, Choice] | None:
    said = {value: _agreed(value, label) for value, label in zip(control.values, control.labels, strict=True)}
    sure = {value: choice for value, choice in said.items() if choice is not None}
    whole = len(sure) == len(control.values) and {Choice.LEFT, Choice.RIGHT} <= set(sure.values())
    return sure if whole else None


def _agreed(value: str, label: str) -> Choice | None:
    """What people see decides; an alias that says something else makes it uncertain."""
    seen, stored = meaning(label), meaning(value)
    return None if seen is not None and stored not in (None, seen) else seen or stored


def _pairs_of_ratings(parsed: Parsed) -> list[Found]:
    """Two ratings of two objects whose fields are named as a left and a right one."""
    by_field = {
        field: control
        for control in parsed.controls.values()
        if control.tag == "Rating" and len(control.to_names) == 1
        and (field := parsed.field_of.get(control.to_names[0])) is not None
    }  # fmt: skip
    return [
        {"kind": "ratings", "preference": by_field[left].name, "second": by_field[right].name,
         "to_name": by_field[left].to_names[0], "left": left, "right": right}
        for left, right in _sided(tuple(by_field))
    ]  # fmt: skip


# --------------------------------------------------------------------------------------------------- the fields


def _fields(parsed: Parsed, found: Found) -> Found:
    """Fields of left, right and prompt, where there is one possibility."""
    out: Found = {}
    if found.get("items") is None and not {"left", "right"} <= set(found):
        sides = _sided(parsed.fields)
        if found.get("kind") == "ratings" and found.get("second") in parsed.controls:
            pair = [parsed.controls[found[name]].to_names[:1] for name in ("preference", "second")]
            sides = [(parsed.field_of.get(str(a[0]), ""), parsed.field_of.get(str(b[0]), "")) for a, b in [pair]]
        if len(sides) != 1:
            raise ConfigError(f"which of the fields {_listed(parsed.fields)} hold the two responses is not certain",
                              "Say it: --set 'mapping={left = \"…\", right = \"…\"}'")  # fmt: skip
        out["left"], out["right"] = sides[0]
    if "prompt" not in found:
        taken = {out.get("left"), out.get("right"), *(found.get(name) for name in ("left", "right", "items"))}
        rest = [name for name in dict.fromkeys(parsed.fields) if name not in taken]
        known = [name for name in rest if name.lower() in _PROMPTS]
        if len(rest) != 1 and len(known) != 1:
            raise ConfigError(f"which of the fields {_listed(rest)} holds the prompt is not certain",
                              "Say it: --set 'mapping={prompt = \"…\"}'")  # fmt: skip
        out["prompt"] = rest[0] if len(rest) == 1 else known[0]
    return out


def _sided(fields: Sequence[str]) -> list[tuple[str, str]]:
    """Pairs of fields whose names differ only in a word for left and right, such as answer1 and answer2."""
    there = dict.fromkeys(fields)
    found = []
    for name in there:
        for first, second in _SIDES:
            stem, other = name[: -len(first)], name[: -len(first)] + second
            ends = name.lower().endswith(first) and (not stem or not first.isalpha() or not stem[-1].isalpha())
            upper = name[: -len(first)] + second.upper()
            match = other if other in there else upper if upper in there else None
            if (ends or (len(first) == 1 and name.endswith(first.upper()))) and match is not None:
                found.append((name, match))
    # answer0, answer1, answer2: two pairs, and so no certain one
    return list(dict.fromkeys(found))


def _extras(parsed: Parsed, found: Found) -> Found:
    """A rating of the prompt and a text for the reason, where there is exactly one."""
    used = {found.get("preference"), found.get("second")}
    about = [
        c.name for c in parsed.controls.values()
        if c.tag == "Rating" and c.name not in used
        and [parsed.field_of.get(name) for name in c.to_names] == [found.get("prompt")]
    ]  # fmt: skip
    texts = [c.name for c in parsed.controls.values() if c.tag == "TextArea"]
    return {"rating": about[0] if len(about) == 1 else None, "reason": texts[0] if len(texts) == 1 else None}


# ---------------------------------------------------------------------------------------------------- sentences


def _told(mapping: MappingOptions, guessed: set[str]) -> tuple[str, ...]:
    if not guessed:
        return ()
    shown = f"field {mapping.items} holds both" if mapping.items else f"{mapping.left} is left, {mapping.right} right"
    said = [f"Of each task, {mapping.prompt} is the prompt, and {shown}."]
    what = {
        "pairwise": f'Pairwise "{mapping.preference}" says which is better.',
        "ratings": f'Which is better: the one with more stars in "{mapping.preference}" (left) and "{mapping.second}";'
        " as many is a tie.",
        "ranker": f'Which is better: the one that Ranker "{mapping.preference}" has first.',
        "choices": f'Choices "{mapping.preference}" say which is better: ' + _values(mapping.choices) + ".",
    }
    said.append(what[mapping.kind])
    said += [f'Rating "{mapping.rating}" is about the prompt.'] if mapping.rating else []
    said += [f'TextArea "{mapping.reason}" is the reason.'] if mapping.reason else []
    return tuple(said)


def _values(choices: Mapping[str, Choice]) -> str:
    return ", ".join(f"{value!r} = {choice.value}" for value, choice in choices.items())


def _listed(names: Sequence[str]) -> str:
    return ", ".join(dict.fromkeys(names)) or "(none)"


def _names(parsed: Parsed) -> str:
    return f"It has: {_listed(list(parsed.controls))}."


def _looked_at(parsed: Parsed) -> str:
    said = []
    for control in parsed.controls.values():
        values = zip(control.values, control.labels, strict=True) if control.tag == "Choices" else ()
        unsure = [label for value, label in values if _agreed(value, label) is None]
        more = f" with {', '.join(map(repr, unsure[:5]))}" if unsure else ""
        said.append(f'{control.tag} "{control.name}"{more}')
    return ", ".join(said) or "it has none"


_EXAMPLE = (
    'Say what it means: --set \'mapping={preference = "name", choices = {"first" = "left", "second" = "right",'
    ' "same" = "tie"}, prompt = "…", left = "…", right = "…"}\''
)
