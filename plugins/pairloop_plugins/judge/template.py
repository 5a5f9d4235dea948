"""The prompt template of a judge: a text file with places for prompt and responses.

``[[prompt]]``, ``[[left]]`` and ``[[right]]`` are replaced in one pass, so that a response that contains such a mark is
not filled in again. ``[[fence]]`` becomes a mark made from a digest of the three texts: a response cannot know it, so
it cannot pretend to end. A line ``===`` parts the system message from the user's; without one there is no system part.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from pathlib import Path

from pairloop.errors import ConfigError
from pairloop.kit.canonical import digest
from pairloop.kit.ids import content_json
from pairloop.kit.text import plain
from pairloop.protocols import JudgeQuestion

_PLACE = re.compile(r"\[\[(prompt|left|right|fence)\]\]")
_NEEDED = {"prompt", "left", "right"}
_BAR = re.compile(r"^===\s*$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Template:
    """A checked template. ``system`` is "" where there is none."""

    system: str
    user: str

    @property
    def digest(self) -> str:
        """Changes with the text."""
        return digest([self.system, self.user])

    def fill(self, question: JudgeQuestion) -> tuple[str, str]:
        """(system message, user message)."""
        asked = [content_json(question.prompt), question.left, question.right]
        texts = {
            "prompt": plain(question.prompt), "left": question.left, "right": question.right,
            "fence": f"#{digest(asked)[:12]}#",
        }  # fmt: skip
        system, user = (_PLACE.sub(lambda place: texts[place[1]], part) for part in (self.system, self.user))
        return system.strip(), user.strip()


def parse_template(text: str, origin: str) -> Template:
    """A template from its text.

    Raises:
        ConfigError: a place is missing, or the template has more than one bar.
    """
    parts = _BAR.split(text)
    if len(parts) > 2:
        raise ConfigError(f"{origin}: the template has {len(parts) - 1} lines ===; one at most parts system and user")
    missing = sorted(_NEEDED - set(_PLACE.findall(parts[-1])))
    if missing:
        raise ConfigError(
            f"{origin}: the template has no place for {', '.join(missing)}",
            "Write [[prompt]], [[left]] and [[right]] where the texts belong, after the line === if there is one.",
        )
    return Template(parts[0].strip() if len(parts) == 2 else "", parts[-1].strip())


def load_template(base: Path, path: str | None) -> Template:
    """The template file, or the one that is shipped.

    Raises:
        ConfigError: the file cannot be read, or is no template.
    """
    return _shipped() if path is None else _read(base / Path(path).expanduser())


@lru_cache(maxsize=1)
def _shipped() -> Template:
    return parse_template(files(__package__).joinpath("template.txt").read_text(encoding="utf-8"), "template.txt")


def _read(path: Path) -> Template:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"judge.options.template: cannot read {path}: {error}") from error
    return parse_template(text, str(path))
