"""What a plugin returned, checked before anything is stored: a violation names the plugin."""

import math
from collections.abc import Collection, Sequence

import numpy as np

from pairloop.errors import ContractViolation, Diverged
from pairloop.posterior import PreferencePosterior
from pairloop.protocols import Published, Selection, SelectionContext
from pairloop.records import Annotation, Page, Task

_LIMIT = 100_000  # characters of an annotator's reason or name


def checked_posterior(posterior: PreferencePosterior, n: int) -> PreferencePosterior:
    """Shapes fit and every number is finite.

    Raises:
        ContractViolation: wrong shape. Diverged: NaN or infinity.
    """
    if posterior.mean.shape != (n,) or posterior.whitened.ndim != 2 or len(posterior.whitened) != n:
        raise ContractViolation(
            f"the reward model's posterior has shapes {posterior.mean.shape} and {posterior.whitened.shape}"
            f" for {n} responses"
        )
    if not (np.isfinite(posterior.mean).all() and np.isfinite(posterior.whitened).all()):
        raise Diverged("the reward model's posterior holds NaN or infinity", "The previous model stays current.")
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
    elif k and np.bincount(context.prompt[context.candidates[picks, 0]]).max() > context.per_prompt:
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
    return published


def checked_lookup(found: Collection[str], keys: Collection[str], name: str) -> None:
    """Only keys that were asked for.

    Raises:
        ContractViolation: names the backend.
    """
    if set(found) - set(keys):
        raise ContractViolation(f"backend {name!r} found keys that it was not asked for")


def checked_page(page: Page, name: str) -> Page:
    """Every annotation can be stored and hashed.

    Raises:
        ContractViolation: names the backend and the annotation.
    """
    checked_annotations(page.annotations, f"backend {name!r}")
    return page


def checked_annotations(annotations: Sequence[Annotation], who: str) -> Sequence[Annotation]:
    """Every annotation can be stored and hashed.

    Raises:
        ContractViolation: names who reported it and the annotation.
    """
    for annotation in annotations:
        problem = _annotation_problem(annotation)
        if problem is not None:
            raise ContractViolation(f"{who} reported annotation {str(annotation.remote_id)[:40]!r} with {problem}")
    return annotations


def _annotation_problem(annotation: Annotation) -> str | None:
    texts = (annotation.key, annotation.backend, annotation.remote_id, annotation.revision, annotation.annotator)
    if not all(isinstance(text, str) and 0 < len(text) <= _LIMIT for text in texts):
        return "an empty or over-long key, id, revision or annotator"
    if annotation.reason is not None and len(annotation.reason) > _LIMIT:
        return f"a reason of {len(annotation.reason):,} characters"
    for label, number in (("seconds", annotation.seconds), ("cost", annotation.cost)):
        if number is not None and not (math.isfinite(number) and number >= 0):
            return f"{label} = {number}"
    if annotation.prompt_rating is not None and not 1 <= annotation.prompt_rating <= 5:
        return f"prompt_rating = {annotation.prompt_rating}"
    return None
