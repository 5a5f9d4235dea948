"""Texts that also stand in files that are kept for evaluation, by shared word n-grams.

The rule is that of Brown et al. 2020 (GPT-3, appendix C): one shared 13-gram counts.
"""

import gzip
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from pairloop.errors import DataError
from pairloop.kit.text import normalised

_WORD = re.compile(r"\w+")


class EvaluationTexts:
    """N-grams of all texts that are kept for evaluation."""

    def __init__(self, texts: Iterable[str], width: int) -> None:
        """``width``: words of an n-gram; shorter texts count where they are the same as a whole."""
        self._width = width
        self._grams: set[tuple[str, ...]] = set()
        for text in texts:
            self._grams.update(_grams(text, width))

    def overlap(self, text: str) -> str | None:
        """The first shared n-gram, as words to read; None when there is none."""
        for gram in _grams(text, self._width):
            if gram in self._grams:
                return f'shares "{" ".join(gram)[:80]}" with an evaluation file'
        return None


def _grams(text: str, width: int) -> Iterator[tuple[str, ...]]:
    words = _WORD.findall(normalised(text))
    if 0 < len(words) <= width:
        yield tuple(words)
        return
    for start in range(len(words) - width + 1):
        yield tuple(words[start : start + width])


def texts_of(path: Path) -> Iterator[str]:
    """All texts of an evaluation file, plain or gzip: every string in JSON lines, else every line.

    Raises:
        DataError: it cannot be read, or a line is not JSON.
    """
    try:
        data = path.read_bytes()
        if data.startswith(b"\x1f\x8b"):
            data = gzip.decompress(data)
        lines = data.decode("utf-8-sig").splitlines()
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise DataError(
            f"cannot read the evaluation file {path}: {error}", "Check curation.evaluation_files; it must be UTF-8."
        ) from error
    as_json = ".jsonl" in path.suffixes
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        if not as_json:
            yield line
            continue
        try:
            yield from _strings(json.loads(line))
        except (ValueError, RecursionError) as error:
            raise DataError(f"{path}, line {number}: not JSON: {error}") from error


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | dict):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _strings(item)
