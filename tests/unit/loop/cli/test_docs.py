import re
from pathlib import Path

from pairloop.cli import failures
from pairloop.cli.reference import updated

DOCS = Path(__file__).parents[4] / "docs" / "cli.md"


def test_the_documented_help_is_what_the_commands_print() -> None:
    text = DOCS.read_text(encoding="utf-8")
    assert updated(text) == text, "run: python -m pairloop.cli.reference docs/cli.md"


def test_every_exit_code_of_an_error_is_documented() -> None:
    from pairloop import errors

    table = DOCS.read_text(encoding="utf-8").partition("## Exit codes")[2].partition("\n## ")[0]
    documented = {int(number) for number in re.findall(r"^\| (\d+) \|", table, re.MULTILINE)}
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Exception)]
    used = {kind.exit_code for kind in kinds if hasattr(kind, "exit_code")}
    assert documented == used | {0, 1, failures.EXIT_WAITING, failures.EXIT_INTERRUPTED, 143}
