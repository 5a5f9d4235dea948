"""The limit on threads holds for libraries that were loaded since the last one, and costs little where none was."""

import sys
from types import ModuleType

import numpy as np
from threadpoolctl import threadpool_info

from pairloop.kit import threads
from pairloop.kit.threads import numeric_threads


def test_the_limit_holds_inside_and_ends_with_it():
    before = [pool["num_threads"] for pool in threadpool_info()]
    with numeric_threads(1):
        assert np.ones((4, 4)).sum() == 16
        assert {pool["num_threads"] for pool in threadpool_info()} <= {1}
    assert [pool["num_threads"] for pool in threadpool_info()] == before


def test_libraries_are_searched_again_after_an_import_and_not_otherwise(monkeypatch):
    with numeric_threads():
        searched = threads._libraries.cache_info().misses
    with numeric_threads():
        assert threads._libraries.cache_info().misses == searched
    monkeypatch.setitem(sys.modules, "pairloop_some_new_library", ModuleType("pairloop_some_new_library"))
    with numeric_threads():
        assert threads._libraries.cache_info().misses == searched + 1
