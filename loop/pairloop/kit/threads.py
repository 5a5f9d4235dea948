"""One BLAS thread: sums then have one order, and no core spins while another process holds its peer."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

from threadpoolctl import ThreadpoolController


@contextmanager
def numeric_threads(n: int = 1) -> Iterator[None]:
    """Limit the numerical libraries that are loaded now to ``n`` threads."""
    with _libraries(len(sys.modules)).limit(limits=n):
        yield


@lru_cache(maxsize=1)
def _libraries(_modules: int) -> ThreadpoolController:
    """The libraries in this process; they come with imports, so it is searched again after one (6 ms each time)."""
    return ThreadpoolController()
