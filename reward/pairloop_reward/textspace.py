"""TF-IDF space of the responses, reduced to the directions in which responses to one prompt differ.

The votes compare responses to one prompt, so whatever is constant within a prompt cancels. Principal directions of
the raw texts would mostly tell topics apart; these are the principal directions of the *within-prompt* deviations.
What is learned is a fixed linear map all the same: a response that is sampled later, or stands alone in its
prompt, gets the same coordinates whatever else its prompt holds. (Centring the rows themselves by the mean of
their prompt would give the same differences today and other ones as soon as a response is added.)
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import sparse

from pairloop.posterior import IntArray
from pairloop_reward.likelihood import Float64

_OVERSAMPLING = 16
_POWER_STEPS = 4
_TOKEN = r"(?u)\w+|[^\w\s]"  # noqa: S105 - words of any length, and marks: "!" and "?" are said too


def new_vectorizer(limit: int | None, terms: Sequence[str] | None = None, rarest: int = 1) -> Any:
    """A scikit-learn vectoriser of words and word pairs; ``terms`` fixes the vocabulary."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    return TfidfVectorizer(
        ngram_range=(1, 2),
        token_pattern=_TOKEN,
        sublinear_tf=True,
        min_df=rarest,
        max_features=limit,
        vocabulary=None if terms is None else list(terms),
        dtype=np.float64,
    )


def fit_vectorizer(texts: Sequence[str], limit: int) -> tuple[list[str], Float64, Any] | None:
    """Terms (sorted), their (V,) idf and the (n, V) matrix of the texts; None where no text holds a token.

    Terms that occur in one text only are left out, unless there are no others.
    """
    for rarest in (2, 1):
        vectorizer = new_vectorizer(limit, rarest=rarest)
        try:
            matrix = vectorizer.fit_transform(texts)
        except ValueError:  # scikit-learn's word for an empty vocabulary; anything else is raised again below
            continue
        return vectorizer.get_feature_names_out().tolist(), np.asarray(vectorizer.idf_), matrix
    tokens = new_vectorizer(limit).build_analyzer()
    if any(tokens(text) for text in texts):
        raise ValueError("the texts hold tokens, but scikit-learn found no vocabulary")
    return None


def within_prompt(rows: Float64, prompt: IntArray) -> Float64:
    """(n, k) rows minus the mean row of their prompt; ``prompt`` (n,) counts from 0 without gaps."""
    counts = np.bincount(prompt)
    member = sparse.csr_array((np.ones(len(prompt)), (prompt, np.arange(len(prompt)))), (len(counts), len(prompt)))
    means = np.asarray(member @ rows) / counts[:, None]
    return np.asarray(rows - means[prompt])


def principal_directions(matrix: Any, prompt: IntArray, k: int) -> tuple[Float64, Float64]:
    """Leading right singular vectors of the within-prompt centred sparse (n, V) matrix.

    Randomised subspace iteration (Halko, Martinsson & Tropp 2011, algorithm 4.4) from a fixed start, because the
    centred matrix is dense and must not be formed.

    Returns:
        (V, k') components and their (k',) singular values, largest first; directions without variance are left
        out, so k' ≤ k.
    """
    n, width = matrix.shape
    basis = np.random.default_rng(0).standard_normal((width, min(k + _OVERSAMPLING, n, width)))
    for _ in range(_POWER_STEPS):
        basis = np.linalg.qr(matrix.T @ within_prompt(matrix @ basis, prompt))[0]
    _, values, rotation = np.linalg.svd(within_prompt(matrix @ basis, prompt), full_matrices=False)
    keep = min(k, int((values > 1e-6 * max(1.0, values[0])).sum()))
    return np.ascontiguousarray(basis @ rotation[:keep].T), np.asarray(values[:keep])
