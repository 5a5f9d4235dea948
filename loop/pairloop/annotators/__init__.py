"""Annotator quality: the same numbers and the same tests for every backend.

`judged` holds the votes as columns, `numbers` measures each annotator, `flags` tests them, `facts` reads a store.
Nothing here changes anything: flags are advice.
"""

from pairloop.annotators.facts import Quality, quality

__all__ = ["Quality", "quality"]
