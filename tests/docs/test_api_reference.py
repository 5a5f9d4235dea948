"""docs/api.md is what the docstrings say, and everything public has one."""

from pathlib import Path

import pytest

import pairloop
from pairloop.cli.api_reference import reference

DOCUMENT = Path(__file__).parents[2] / "docs" / "api.md"


def test_the_document_is_up_to_date() -> None:
    assert DOCUMENT.read_text("utf-8") == reference() + "\n", "run: python -m pairloop.cli.api_reference > docs/api.md"


def test_nothing_in_it_depends_on_the_process() -> None:
    assert " at 0x" not in reference()
    assert "<function" not in reference()


@pytest.mark.parametrize("name", [name for name in pairloop.__all__ if name != "__version__"])
def test_every_public_name_is_documented(name: str) -> None:
    assert f"### {name}\n" in reference()
    assert getattr(pairloop, name).__doc__
