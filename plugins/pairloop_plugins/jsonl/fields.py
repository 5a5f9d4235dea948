"""The fields that all row shapes share: texts, prompts, responses, metadata, groups, index pairs."""

from collections.abc import Mapping
from typing import Any

from pairloop.kit.ids import content_from_json
from pairloop.records import Message, PromptContent, Provenance, SourceResponse
from pairloop_plugins.columns.options import RowOptions
from pairloop_plugins.jsonl.strict import Bad, Cleaner

Row = Mapping[str, Any]
_TEXT_KEYS = ("text", "response", "content")
_LABEL = 1000  # characters of a name
_REASON = 100_000  # characters of an annotator's reason


class Reader:
    """Reads fields under one set of options."""

    def __init__(self, options: RowOptions, cleaner: Cleaner) -> None:
        """The cleaner counts over the whole file."""
        self.options = options
        self._cleaner = cleaner

    def text(self, value: Any, name: str, limit: int | None = None) -> str:
        """A cleaned text of at most ``limit`` characters, by default those that the options allow."""
        if not isinstance(value, str):
            raise Bad(f"wrong type: {name} must be a text, and is {kind_of(value)}")
        most = self.options.max_chars if limit is None else limit
        if len(value) > most:
            raise Bad(f"text too long: {name} has {len(value):,} characters, more than {most:,}")
        return self._cleaner.text(value)

    def label(self, value: Any, name: str) -> str:
        """A short name that is not blank; integers are taken as their digits."""
        if isinstance(value, int) and not isinstance(value, bool):
            value = str(value)
        text = self.text(value, name, _LABEL).strip()
        if not text:
            raise Bad(f"empty name: {name}")
        return text

    def prompt(self, value: Any) -> PromptContent:
        """A prompt: a text, or a list of messages."""
        if isinstance(value, str):
            content: PromptContent = self.text(value, '"prompt"')
        elif isinstance(value, list):
            content = self.messages(value, '"prompt"')
        else:
            raise Bad(f'wrong type: "prompt" must be a text or a list of messages, and is {kind_of(value)}')
        said = content if isinstance(content, str) else "".join(turn.content for turn in content)
        if not said.strip():
            raise Bad("the prompt is empty")
        return content

    def messages(self, value: Any, name: str) -> tuple[Message, ...]:
        """A non-empty list of ``{"role", "content"}``."""
        try:
            turns = content_from_json(value)
        except ValueError as error:
            raise Bad(f"wrong type: {name}: {error}") from error
        return tuple(
            Message(self.label(turn.role, f"a role in {name}"), self.text(turn.content, f"a message in {name}"))
            for turn in turns
            if isinstance(turn, Message)
        )

    def response(self, value: Any, name: str) -> SourceResponse:
        """A response: a text, or an object with "text" (or "response", "content"), "model", "metadata" and others."""
        if isinstance(value, str):
            return self.made(value, name, None, {})
        if not isinstance(value, dict):
            raise Bad(f"wrong type: {name} must be a text or an object, and is {kind_of(value)}")
        keys = [key for key in _TEXT_KEYS if key in value]
        if len(keys) != 1:
            raise Bad(f'missing keys: {name} needs one of "text", "response" and "content"; found {listed(value)}')
        others = {key: item for key, item in value.items() if key not in (keys[0], "model", "metadata")}
        metadata = {**others, **self.metadata(value.get("metadata"), f"the metadata of {name}")}
        return self.made(value[keys[0]], name, value.get("model"), metadata)

    def made(self, text: Any, name: str, model: Any, metadata: Row) -> SourceResponse:
        """A response from its parts."""
        cleaned = self.text(text, name)
        if not cleaned.strip() and not self.options.empty_responses:
            raise Bad(f"empty response: {name}")
        writer = None if model is None else self.label(model, f"the model of {name}")
        return SourceResponse(cleaned, Provenance(model=writer), self._cleaner.value(dict(metadata)))

    def metadata(self, value: Any, name: str = '"metadata"') -> dict[str, Any]:
        """An object; None counts as an empty one."""
        if value is None:
            return {}
        if not isinstance(value, dict):
            raise Bad(f"wrong type: {name} must be an object, and is {kind_of(value)}")
        return dict(self._cleaner.value(value))

    def row_metadata(self, row: Row) -> dict[str, Any]:
        """Metadata of the prompt: the kept keys, and what is in "metadata"."""
        kept = {key: row[key] for key in self.options.keep if key in row}
        return {**self._cleaner.value(kept), **self.metadata(row.get("metadata"))}

    def group(self, row: Row) -> str | None:
        """The group that the options or the row name."""
        if self.options.group_key is None:
            return None if row.get("group") is None else self.label(row["group"], '"group"')
        value: Any = row
        for part in self.options.group_key.split("."):
            if not isinstance(value, dict) or part not in value:
                raise Bad(f'missing keys: "{self.options.group_key}", which group_key names; found {listed(row)}')
            value = value[part]
        label = self.label(value, f'"{self.options.group_key}"')
        if self.options.group_split is None:
            return label
        return label.rpartition(self.options.group_split)[0] or label

    def optional_text(self, value: Any, name: str) -> str | None:
        """An optional text."""
        return None if value is None else self.text(value, name, _REASON)


def index_pair(value: Any, n: int, name: str) -> tuple[int, int]:
    """Two different indices below ``n``."""
    if (
        isinstance(value, list)
        and len(value) == 2
        and all(isinstance(i, int) and not isinstance(i, bool) and 0 <= i < n for i in value)
        and value[0] != value[1]
    ):
        return value[0], value[1]
    raise Bad(f"wrong indices: {name} must hold two different ones from 0 to {n - 1}")


def kind_of(value: Any) -> str:
    """What a JSON value is, in words."""
    if value is None:
        return "null"
    return {bool: "true or false", int: "a number", float: "a number", str: "a text", list: "a list"}.get(
        type(value), "an object"
    )


def listed(row: Any) -> str:
    """The keys of an object, for messages."""
    keys = sorted(row) if isinstance(row, dict) else []
    shown = ", ".join(f'"{key[:40]}"' for key in keys[:12])
    return f"{shown} and {len(keys) - 12} more" if len(keys) > 12 else shown or "no keys"
