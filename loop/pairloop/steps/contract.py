"""What a plugin returned, checked before anything is stored: a violation names the plugin."""

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from typing import Any

import numpy as np

from pairloop.errors import ContractViolation, Diverged, PairloopError, PluginError, StorageFull
from pairloop.kit.atomic import is_disk_error
from pairloop.kit.text import clean
from pairloop.posterior import PreferencePosterior
from pairloop.protocols import Published, Selection, SelectionContext
from pairloop.records import Annotation, AnnotatorKind, Choice, Page, Task

MOST_ANNOTATORS = 2_000
"""Annotators kept in a report; a reward model names those with the most votes first."""

_LIMIT = 100_000  # characters of an annotator's reason or name


@contextmanager
def calling(part: str, name: str) -> Iterator[None]:
    """Around every call of a plugin: what it raises by accident becomes an error that names it.

    Raises:
        PluginError: from any exception that is not pairloop's. StorageFull: when the disk was the reason.
    """
    try:
        yield
    except PairloopError:
        raise
    except Exception as error:
        if isinstance(error, OSError) and is_disk_error(error):
            raise StorageFull(
                f"{part} {name!r} cannot write: {error}",
                "Free space or mend the permissions, then run the same command again: what was committed is intact.",
            ) from error
        raise PluginError(
            f"{part} {name!r} failed with {type(error).__name__}: {error}",
            "Nothing of this step was stored. This is a bug in the plugin: its traceback is the cause of this error.",
        ) from error


def checked_numbers(numbers: Mapping[str, Any], who: str) -> dict[str, float]:
    """Finite numbers by name.

    Raises:
        Diverged: NaN or infinity. ContractViolation: not numbers by name.
    """
    for name, value in numbers.items():
        if not isinstance(name, str) or isinstance(value, bool) or not isinstance(value, int | float | np.number):
            raise ContractViolation(f"{who} reported {name!r} = {value!r}, which is no number")
        if not math.isfinite(value):
            raise Diverged(f"{who} reported {name} = {value}")
    return {name: float(value) for name, value in numbers.items()}


def checked_annotators(table: Mapping[str, Mapping[str, Any]], who: str) -> dict[str, dict[str, float]]:
    """Finite numbers by name of the first `MOST_ANNOTATORS` annotators.

    Raises:
        Diverged: NaN or infinity. ContractViolation: not numbers by name.
    """
    rows = islice(table.items(), MOST_ANNOTATORS)
    return {str(name): checked_numbers(numbers, f"{who}, of annotator {name!r},") for name, numbers in rows}


def checked_posterior(posterior: PreferencePosterior, n: int) -> PreferencePosterior:
    """Shapes fit, every number is finite, scalars are in range.

    Raises:
        ContractViolation: wrong shape or range. Diverged: NaN or infinity.
    """
    scalars = (posterior.flip_rate, posterior.tie, posterior.temperature)
    if posterior.mean.shape != (n,) or posterior.whitened.ndim != 2 or len(posterior.whitened) != n:
        raise ContractViolation(
            f"the reward model's posterior has shapes {posterior.mean.shape} and {posterior.whitened.shape}"
            f" for {n} responses"
        )
    arrays = (posterior.mean, posterior.whitened, np.array(scalars))
    if not all(np.isfinite(array).all() for array in arrays):
        raise Diverged("the reward model's posterior holds NaN or infinity", "The previous model stays current.")
    if not (0.0 <= posterior.flip_rate < 0.5 and posterior.tie >= 0.0 and posterior.temperature > 0.0):
        raise ContractViolation(
            f"the reward model's posterior has flip rate {posterior.flip_rate}, tie {posterior.tie} and temperature"
            f" {posterior.temperature}"
        )
    return posterior


def checked_selection(selection: Selection, context: SelectionContext, n: int, name: str) -> Selection:
    """No repeats, in range, not more than asked for, per-prompt cap kept.

    Raises:
        ContractViolation: names the strategy.
    """
    picks = np.asarray(selection.picks)
    k = len(picks)
    problem = None
    if k > n or picks.ndim != 1 or not np.issubdtype(picks.dtype, np.integer):
        problem = f"returned {picks.shape} picks of type {picks.dtype} for n = {n}"
    elif k and (picks.min() < 0 or picks.max() >= len(context.candidates)):
        problem = "picked something that is not a candidate"
    elif len(np.unique(picks)) != k:
        problem = "picked a pair twice"
    elif len(selection.scores) != k or len(selection.propensity) != k:
        problem = "returned scores or propensities of another length than picks"
    elif k and 0 < context.per_prompt < np.bincount(context.prompt[context.candidates[picks, 0]]).max():
        problem = f"picked more than {context.per_prompt} pairs of one prompt"
    if problem is not None:
        raise ContractViolation(f"strategy {name!r} {problem}")
    return selection


def checked_published(published: Published, tasks: Sequence[Task], name: str) -> Published:
    """Every key is either received or refused, and no other key appears.

    Raises:
        ContractViolation: names the backend.
    """
    keys = {task.key for task in tasks}
    answered = set(published.remote_ids) | set(published.refused)
    if answered - keys:
        raise ContractViolation(f"backend {name!r} answered for keys that it was not given")
    if keys - answered:
        raise ContractViolation(f"backend {name!r} lost {len(keys - answered)} of {len(keys)} tasks without a word")
    if set(published.remote_ids) & set(published.refused):
        raise ContractViolation(f"backend {name!r} both took and refused a task")
    _check_texts([*published.remote_ids.values(), *published.refused.values()], name, "a remote id or reason")
    return published


def _check_texts(values: Collection[Any], name: str, what: str) -> None:
    for value in values:
        if not isinstance(value, str) or not value or clean(value) != value:
            raise ContractViolation(f"backend {name!r} returned {what} that is no plain text: {value!r}")


def checked_lookup(found: Mapping[str, str], keys: Collection[str], name: str) -> None:
    """Only keys that were asked for, with remote ids.

    Raises:
        ContractViolation: names the backend.
    """
    if set(found) - set(keys):
        raise ContractViolation(f"backend {name!r} found keys that it was not asked for")
    _check_texts(found.values(), name, "a remote id")


def checked_page(page: Page, name: str) -> Page:
    """The cursor can be stored, and every annotation stored and hashed.

    Raises:
        ContractViolation: names the backend and the annotation.
    """
    if not isinstance(page.cursor, str) or clean(page.cursor) != page.cursor:
        raise ContractViolation(f"backend {name!r} returned a cursor that is no plain text: {page.cursor!r}")
    for file in page.refused:
        _check_texts([file.name, *file.problems], name, "a refused file")
    annotations = checked_annotations(page.annotations, f"backend {name!r}")
    _check_texts(page.gone, name, "a key that is gone")
    return Page(annotations, page.cursor, bool(page.more), tuple(page.refused), tuple(page.gone))


def checked_annotations(annotations: Sequence[Annotation], who: str) -> Sequence[Annotation]:
    """Every annotation as it can be stored and hashed: NUL and lone surrogates of free text become U+FFFD.

    Raises:
        ContractViolation: names who reported it and the annotation.
    """
    for annotation in annotations:
        problem = _annotation_problem(annotation)
        if problem is not None:
            shown = str(getattr(annotation, "remote_id", annotation))[:40]
            raise ContractViolation(f"{who} reported annotation {shown!r} with {problem}")
    return [
        replace(one, annotator=clean(one.annotator), reason=None if one.reason is None else clean(one.reason))
        for one in annotations
    ]


def _annotation_problem(annotation: Annotation) -> str | None:
    if not isinstance(annotation, Annotation):
        return f"type {type(annotation).__name__}"
    return _text_problem(annotation) or _kind_problem(annotation) or _number_problem(annotation)


def _text_problem(annotation: Annotation) -> str | None:
    ids = (annotation.key, annotation.backend, annotation.remote_id, annotation.revision)
    if not all(isinstance(text, str) and 0 < len(text) <= _LIMIT for text in (*ids, annotation.annotator)):
        return "an empty or over-long key, id, revision or annotator"
    if any(clean(text) != text for text in ids):
        return "control characters or lone surrogates in its key, id or revision"
    for label, text in (("reason", annotation.reason), ("submitted_at", annotation.submitted_at)):
        if text is not None and not isinstance(text, str):
            return f"{label} = {text!r}"
        if text is not None and len(text) > _LIMIT:
            return f"a {label} of {len(text):,} characters"
    return "an unreadable submitted_at" if annotation.submitted_at != _cleaned(annotation.submitted_at) else None


def _cleaned(text: str | None) -> str | None:
    return None if text is None else clean(text)


def _kind_problem(annotation: Annotation) -> str | None:
    if not isinstance(annotation.choice, Choice):
        return f"choice = {annotation.choice!r}"
    if not isinstance(annotation.kind, AnnotatorKind):
        return f"kind = {annotation.kind!r}"
    if not isinstance(annotation.deleted, bool) or not isinstance(annotation.prelabel_shown, bool):
        return "a flag that is neither True nor False"
    return None


def _number_problem(annotation: Annotation) -> str | None:
    for label, number in (("seconds", annotation.seconds), ("cost", annotation.cost)):
        if number is not None and not (isinstance(number, int | float) and math.isfinite(number) and number >= 0):
            return f"{label} = {number!r}"
    if annotation.strength is not None and not isinstance(annotation.strength, int):
        return f"strength = {annotation.strength!r}"
    rating = annotation.prompt_rating
    if rating is not None and not (isinstance(rating, int) and 1 <= rating <= 5):
        return f"prompt_rating = {rating!r}"
    return None
