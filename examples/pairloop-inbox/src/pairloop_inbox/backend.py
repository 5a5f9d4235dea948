"""Questions as text files that people answer in an editor."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from pairloop.kit.atomic import write_atomic
from pairloop.kit.canonical import digest
from pairloop.kit.options import Options
from pairloop.kit.text import plain
from pairloop.protocols import BackendContext, Capabilities, Published
from pairloop.records import Annotation, Choice, Page, Task

_ANSWER = "answer:"


class InboxOptions(Options):
    """``[backend.options]`` of ``inbox``."""

    annotator: str = "editor"
    """Id under which the votes are stored."""


class InboxBackend:
    """One file a question, named by its key: publishing twice writes the same file once."""

    name = "inbox"
    capabilities = Capabilities(idempotent_publish=True, lookup=True, cancel=True)

    def __init__(self, options: InboxOptions, context: BackendContext) -> None:
        self._annotator = options.annotator
        self._folder = context.folder / "questions"
        self._folder.mkdir(parents=True, exist_ok=True)

    def publish(self, tasks: Sequence[Task]) -> Published:
        """Write the files that are not there yet."""
        for task in tasks:
            if not self._file(task.key).exists():
                write_atomic(self._file(task.key), _question(task))
        return Published({task.key: task.key for task in tasks})

    def lookup(self, keys: Collection[str]) -> Mapping[str, str]:
        """The keys that have a file."""
        return {key: key for key in keys if self._file(key).exists()}

    def poll(self, cursor: str | None) -> Page:
        """Every answer there is, if anything changed since ``cursor``; pairloop ignores what it knows already."""
        answers = [(path, _answer(path)) for path in sorted(self._folder.glob("k*.txt"))]
        found = [self._annotation(path.stem, choice) for path, choice in answers if choice is not None]
        fingerprint = digest([[a.remote_id, a.revision] for a in found])
        return Page([] if fingerprint == cursor else found, fingerprint)

    def cancel(self, keys: Collection[str]) -> Collection[str]:
        """Remove questions that nobody answered."""
        unanswered = [key for key in sorted(keys) if self._file(key).exists() and _answer(self._file(key)) is None]
        for key in unanswered:
            self._file(key).unlink()
        return unanswered

    def close(self) -> None:
        """Nothing is held open."""

    def _file(self, key: str) -> Path:
        return self._folder / f"{key}.txt"

    def _annotation(self, key: str, choice: Choice) -> Annotation:
        return Annotation(
            key, self.name, remote_id=key, revision=choice.value, annotator=self._annotator, choice=choice
        )


def _question(task: Task) -> str:
    return (
        f"{_ANSWER} \n(left, right, tie, both_bad or skip)\n\n"
        f"PROMPT\n{plain(task.prompt)}\n\n{'-' * 30} LEFT\n{task.left}\n\n{'-' * 30} RIGHT\n{task.right}\n"
    )


def _answer(path: Path) -> Choice | None:
    """What stands behind "answer:" in the first line, if it is a choice; anything else counts as not answered yet."""
    first = path.read_text(encoding="utf-8", errors="replace").partition("\n")[0].strip().lower()
    word = first.removeprefix(_ANSWER).strip().replace(" ", "_")
    return Choice(word) if word in list(Choice) else None
