"""Prompt and responses out of the chosen/rejected pairs of the common preference sets.

Three spellings are in use: texts beside a prompt; lists of messages, with the prompt as their shared first turns or
beside them; and transcripts, one text with "\\n\\nHuman:" and "\\n\\nAssistant:" before the turns.
"""

import re
from typing import Any

from pairloop.records import Message, PromptContent
from pairloop_plugins.jsonl.fields import Reader, Row, listed
from pairloop_plugins.jsonl.strict import Bad

_TURN = re.compile(r"\n\n(Human|Assistant):")
_ROLES = {"Human": "user", "Assistant": "assistant"}


def read_preference(row: Row, reader: Reader) -> tuple[PromptContent, str, str]:
    """Prompt, chosen text and rejected text of a row with "chosen" and "rejected"."""
    chosen, rejected = row["chosen"], row["rejected"]
    given = reader.prompt(row["prompt"]) if row.get("prompt") is not None else None
    if isinstance(chosen, list) and isinstance(rejected, list):
        turns = [reader.messages(value, f'"{key}"') for key, value in (("chosen", chosen), ("rejected", rejected))]
        return _from_turns(given, turns[0], turns[1])
    if given is not None:
        return given, reader.text(chosen, '"chosen"'), reader.text(rejected, '"rejected"')
    left, right = _transcript(chosen), _transcript(rejected)
    if left is None or right is None:
        raise Bad(f'missing keys: "prompt", and "chosen" and "rejected" are not conversations; found {listed(row)}')
    prompt, one, other = _from_turns(None, left, right)
    return reader.prompt([{"role": t.role, "content": t.content} for t in prompt if isinstance(t, Message)]), one, other


def _from_turns(
    given: PromptContent | None, chosen: tuple[Message, ...], rejected: tuple[Message, ...]
) -> tuple[PromptContent, str, str]:
    shared = 0
    while shared < min(len(chosen), len(rejected)) - 1 and chosen[shared] == rejected[shared]:
        shared += 1
    if len(chosen) != shared + 1 or len(rejected) != shared + 1:
        raise Bad('conversations: "chosen" and "rejected" must differ in their last turn only')
    return _prompt(given, chosen[:shared]), chosen[-1].content, rejected[-1].content


def _prompt(given: PromptContent | None, before: tuple[Message, ...]) -> PromptContent:
    """The prompt that was given, or the shared turns; where there are both they must agree."""
    if given is None:
        if not any(turn.content.strip() for turn in before):
            raise Bad('missing keys: "prompt", and "chosen" and "rejected" share no turn before their last')
        return before
    if not before or given == before:
        return given
    if isinstance(given, str) and before[-1].content.strip() == given.strip():
        return given if len(before) == 1 else before
    raise Bad('conversations: "prompt" is not what "chosen" and "rejected" begin with')


def _transcript(value: Any) -> tuple[Message, ...] | None:
    """Turns of a transcript; None for anything else."""
    if not isinstance(value, str):
        return None
    parts = _TURN.split("\n\n" + value.lstrip("\n"))
    if len(parts) < 5 or parts[0].strip():
        return None
    return tuple(Message(_ROLES[who], said.strip()) for who, said in zip(parts[1::2], parts[2::2], strict=True))
