"""Our labeling config, and what of any config a mapping relies on."""

import difflib
from collections.abc import Mapping as MappingType
from dataclasses import dataclass
from html import escape
from importlib import resources
from xml.etree.ElementTree import Element, ParseError, fromstring

from pairloop.errors import BackendRejected
from pairloop.kit.canonical import digest
from pairloop_plugins.label_studio.options import MappingOptions

_LARGEST = 1 << 20


def own_config(*, markdown: bool) -> str:
    """The config of the projects that pairloop makes; it is the same for every campaign."""
    text = resources.files(__package__).joinpath("labeling.xml").read_text(encoding="utf-8")
    if not markdown:
        return text
    for name in ("prompt", "left", "right"):  # the hidden Text stays: controls need a named object
        shown = f'<Text name="{name}" value="${name}"/>'
        hidden = f'<View style="display:none">{shown}</View>' if name == "prompt" else ""
        text = text.replace(shown, f'<Markdown value="${name}"/>{hidden}')
    return text


@dataclass(frozen=True, slots=True)
class Control:
    """A control of a config: what it is about, its values (aliases where there are any), and what people see."""

    name: str
    tag: str
    to_names: tuple[str, ...]
    values: tuple[str, ...]
    single: bool
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Parsed:
    """Controls by name, and the fields of task data in the order in which they are displayed."""

    controls: MappingType[str, Control]
    fields: tuple[str, ...]
    field_of: MappingType[str, str]


def parse(config: str) -> Parsed:
    """Read a labeling config.

    Raises:
        ValueError: it is no XML, holds a document type or entities (which could name files), or is too large.
    """
    root = _root(config)
    controls: dict[str, Control] = {}
    fields: list[str] = []
    field_of: dict[str, str] = {}
    for element in root.iter():
        name, value = element.get("name"), element.get("value") or ""
        if value.startswith("$") and len(value) > 1:
            fields.append(value[1:])
            if name is not None:
                field_of[name] = value[1:]
        if name is not None and element.get("toName") is not None:
            controls[name] = _control(element, name)
    return Parsed(controls, tuple(fields), field_of)


def _control(element: Element, name: str) -> Control:
    to_names = tuple(part.strip() for part in (element.get("toName") or "").split(",") if part.strip())
    choices = [child for child in element.iter() if child.tag in ("Choice", "Label")]
    values = tuple(child.get("alias") or child.get("value") or "" for child in choices)
    labels = tuple(child.get("value") or "" for child in choices)
    single = (element.get("choice") or "single") in ("single", "single-radio")
    return Control(name, str(element.tag), to_names, values, single, labels)


def _root(config: str) -> Element:
    if len(config) > _LARGEST:
        raise ValueError("the labeling config is larger than a megabyte")
    if "<!DOCTYPE" in config.upper() or "<!ENTITY" in config.upper():
        raise ValueError("the labeling config holds a document type or entities")
    try:
        return fromstring(config)  # noqa: S314 - what makes it unsafe, a document type, is refused above
    except ParseError as error:
        raise ValueError(f"the labeling config is no XML: {error}") from error


def problems(config: str, mapping: MappingOptions) -> list[str]:
    """Why this config cannot be read with this mapping: sentences, [] when all is well."""
    try:
        parsed = parse(config)
    except ValueError as error:
        return [str(error)]
    return [*_preference_problems(parsed, mapping), *_field_problems(parsed, mapping), *_others(parsed, mapping)]


def _preference_problems(parsed: Parsed, mapping: MappingOptions) -> list[str]:
    control = parsed.controls.get(mapping.preference)
    tag = {"choices": "Choices", "pairwise": "Pairwise", "ratings": "Rating", "ranker": "Ranker"}[mapping.kind]
    if control is None or control.tag != tag:
        found = f"a {control.tag}" if control is not None else "not there"
        return [f'the control "{mapping.preference}" must be a {tag}, and is {found}']
    if mapping.kind == "pairwise":
        sides = tuple(parsed.field_of.get(name) for name in control.to_names)
        if sides != (mapping.left, mapping.right):
            return [f'"{mapping.preference}" compares {sides}, and the mapping says {(mapping.left, mapping.right)}']
        return []
    if mapping.kind == "ratings":
        return _ratings_problems(parsed, control, mapping)
    if mapping.kind == "ranker":
        shown = [parsed.field_of.get(name) for name in control.to_names]
        return (
            [] if shown == [mapping.items] else [f'"{control.name}" ranks {shown}, and the mapping {mapping.items!r}']
        )
    said = []
    if not control.single:
        said.append(f'"{mapping.preference}" lets people choose several values')
    if control.to_names != (mapping.to_name,):
        said.append(f'"{mapping.preference}" is about {", ".join(control.to_names)}, and not {mapping.to_name}')
    missing = [value for value in mapping.choices if value not in control.values]
    new = [value for value in control.values if value not in mapping.choices]
    if missing:
        said.append(f'"{mapping.preference}" has no value {", ".join(map(repr, missing))} any more')
    if new:
        said.append(f'"{mapping.preference}" has a value without a meaning: {", ".join(map(repr, new))}')
    return said


def _ratings_problems(parsed: Parsed, first: Control, mapping: MappingOptions) -> list[str]:
    second = parsed.controls.get(mapping.second or "")
    if second is None or second.tag != "Rating":
        return [f'the control "{mapping.second}" must be a Rating: that of the right response']
    rated = [[parsed.field_of.get(name) for name in control.to_names] for control in (first, second)]
    wanted = [[mapping.left], [mapping.right]]
    return [] if rated == wanted else [f"the ratings are of {rated}, and the mapping says {wanted}"]


def fields_of(mapping: MappingOptions) -> tuple[str, ...]:
    """The fields of task data that hold the texts, as they follow each other."""
    if mapping.items is not None:
        return (mapping.prompt, mapping.items)
    return (mapping.prompt, mapping.left, mapping.right)


def _field_problems(parsed: Parsed, mapping: MappingOptions) -> list[str]:
    said = [f"the field ${name} is not displayed" for name in fields_of(mapping) if name not in parsed.fields]
    if not said and mapping.items is None and parsed.fields.index(mapping.left) > parsed.fields.index(mapping.right):
        said.append(f"${mapping.right} is displayed before ${mapping.left}: left and right would be swapped")
    return said


def _others(parsed: Parsed, mapping: MappingOptions) -> list[str]:
    said = []
    for name, tag in ((mapping.rating, "Rating"), (mapping.reason, "TextArea")):
        control = None if name is None else parsed.controls.get(name)
        if name is not None and (control is None or control.tag != tag):
            said.append(
                f'the control "{name}" must be a {tag}, and is {"not there" if control is None else control.tag}'
            )
    return said


def fingerprint(config: str) -> str:
    """A digest of the config's text."""
    return digest(["labeling config", config])[:16]


def changed(before: str, after: str, found: list[str]) -> BackendRejected:
    """The error for a config that can no longer be read: what is wrong, and what was changed."""
    lines = difflib.unified_diff(_lines(before), _lines(after), "as it was", "as it is", n=1, lineterm="")
    shown = "\n  ".join([*lines][:40])
    return BackendRejected(
        "the labeling config was changed so that answers cannot be read: " + "; ".join(found) + f"\n  {shown}",
        "No vote was read under the new config. Undo the change in Label Studio, or adapt backend.options.mapping.",
    )


def _lines(config: str) -> list[str]:
    return config.replace("><", ">\n<").splitlines()


def attribute(text: str) -> str:
    """Text as the value of an XML attribute."""
    return escape(text, quote=True)
