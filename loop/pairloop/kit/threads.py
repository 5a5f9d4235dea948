"""One BLAS thread: sums then have one order, and no core spins while another process holds its peer."""

from collections.abc import Iterator
from contextlib import contextmanager

from threadpoolctl import threadpool_limits


@contextmanager
def numeric_threads(n: int = 1) -> Iterator[None]:
    """Limit the numerical libraries that are loaded now to ``n`` threads."""
    with threadpool_limits(limits=n):
        yield
