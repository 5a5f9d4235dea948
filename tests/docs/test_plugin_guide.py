"""The plugin guide names every hook with its exact arguments, and every shipped contract exists."""

import importlib
import inspect
import re
from pathlib import Path

import pytest

from pairloop import hookspecs

GUIDE = (Path(__file__).parents[2] / "docs/plugins.md").read_text(encoding="utf-8")
HOOKS = {name: hook for name, hook in vars(hookspecs).items() if name.startswith("pairloop_")}


@pytest.mark.parametrize("name", sorted(HOOKS))
def test_every_hook_is_documented_with_its_arguments(name: str) -> None:
    arguments = ", ".join(inspect.signature(HOOKS[name]).parameters)
    assert f"`{name}({arguments})`" in GUIDE


def test_no_hook_is_documented_that_does_not_exist() -> None:
    assert set(re.findall(r"`(pairloop_[a-z_]+)\(", GUIDE)) == set(HOOKS)


@pytest.mark.parametrize("path", re.findall(r"`(pairloop\.testing\.[a-z_]+\.\w+)`", GUIDE))
def test_every_contract_that_the_guide_names_exists(path: str) -> None:
    module, _, name = path.rpartition(".")
    assert inspect.isclass(getattr(importlib.import_module(module), name))
