"""The generated reference is in step with the models."""

from pathlib import Path

from pairloop.cli.config_reference import reference

ROOT = Path(__file__).parents[2]


def test_the_reference_on_disk_is_what_the_models_say() -> None:
    assert (ROOT / "docs/configuration.md").read_text(encoding="utf-8") == reference(), "run: make docs"
