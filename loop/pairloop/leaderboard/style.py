"""What a text looks like, apart from what it says: length and markdown, as covariates of a comparison.

The covariate of two texts is ``(a − b)/(a + b)`` of each count, in [−1, 1] and 0 where neither has any, divided by its
root mean square over the votes (length and markdown control of Chatbot Arena, Li et al. 2024; without centring, so
that swapping the two texts only changes the sign).
"""

import re

import numpy as np

from pairloop.posterior import FloatArray

NAMES = ("length", "headers", "list items", "bold")
_FENCE = re.compile(r"^(```|~~~).*?(?:^\1[^\n]*$|\Z)", re.MULTILINE | re.DOTALL)
_PATTERNS = (
    re.compile(r"^ {0,3}#{1,6}(?=[ \t]|$)", re.MULTILINE),
    re.compile(r"^[ \t]*(?:[-*+]|\d{1,9}[.)])[ \t]+\S", re.MULTILINE),
    re.compile(r"\*\*[^*\n]+\*\*|(?<!\w)__[^_\n]+__(?!\w)"),
)


def counts(text: str) -> list[float]:
    """(K,) characters, headers, list items and bold passages; what stands in fenced code is no markdown."""
    prose = _FENCE.sub("", text)
    return [float(len(text)), *(float(sum(1 for _ in pattern.finditer(prose))) for pattern in _PATTERNS)]


def covariates(style: FloatArray, weight: FloatArray) -> tuple[FloatArray, FloatArray]:
    """((N, K) covariates, (K,) their root mean squares before scaling); a count that never differs is all zero."""
    one, other = style[:, 0], style[:, 1]
    total = one + other
    difference = np.divide(one - other, total, out=np.zeros_like(total), where=total > 0)
    scale = np.sqrt(weight @ difference**2 / max(float(weight.sum()), 1e-300))
    return np.asarray(difference / np.where(scale > 0, scale, 1.0)), np.asarray(scale)
