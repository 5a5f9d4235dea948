"""Groups of near-duplicate texts by MinHash and locality-sensitive hashing (Broder 1997), through the package rensa."""

import re
from collections.abc import Sequence

from rensa import RMinHash, RMinHashLSH

from pairloop.kit.text import normalised

PERMUTATIONS = 128
_WORD = re.compile(r"\w+")


def shingles(text: str, width: int = 3) -> list[str]:
    """Word ``width``-grams of the normalised text; short texts give their words."""
    words = _WORD.findall(normalised(text))
    if len(words) <= width:
        return [" ".join(words)] if words else [normalised(text)]
    return [" ".join(words[i : i + width]) for i in range(len(words) - width + 1)]


def near_duplicate_links(texts: Sequence[str], threshold: float) -> list[tuple[int, int]]:
    """Links (i, j), i < j, between texts whose estimated Jaccard similarity of shingles is at least ``threshold``.

    Each text is linked to its earliest match, which is enough for connected components.
    """
    lsh = RMinHashLSH(threshold=threshold, num_perm=PERMUTATIONS, num_bands=32)
    sketches: list[RMinHash] = []
    links: list[tuple[int, int]] = []
    for row, text in enumerate(texts):
        sketch = RMinHash(num_perm=PERMUTATIONS, seed=1)
        sketch.update(shingles(text))
        for other in sorted(lsh.query(sketch)):
            if sketch.jaccard(sketches[other]) >= threshold:
                links.append((other, row))
                break
        lsh.insert(row, sketch)
        sketches.append(sketch)
    return links
