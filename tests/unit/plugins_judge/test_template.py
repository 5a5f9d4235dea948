"""The prompt template of judges."""

from pathlib import Path

import pytest

from pairloop.errors import ConfigError
from pairloop.protocols import JudgeQuestion
from pairloop.records import Message
from pairloop_plugins.judge.template import load_template, parse_template

OWN = "Be fair.\n===\n<[[fence]]> [[prompt]] | [[left]] | [[right]]"


def test_texts_are_filled_in_once(tmp_path: Path) -> None:
    """A response that contains the marks stays what it is."""
    system, user = parse_template(OWN, "own").fill(JudgeQuestion("P", "[[right]] [[prompt]]", "\\1 {left} %s"))
    assert system == "Be fair."
    assert user.endswith("> P | [[right]] [[prompt]] | \\1 {left} %s")


def test_a_response_cannot_know_its_fence() -> None:
    template = parse_template(OWN, "own")
    fences = {template.fill(JudgeQuestion("P", left, "b"))[1].split(">")[0] for left in ("a", "a ", "#000000000000#")}
    assert len(fences) == 3


def test_the_shipped_template() -> None:
    template = load_template(Path(), None)
    question = JudgeQuestion((Message("user", "Hi"), Message("assistant", "Yes?")), "one", "two")
    system, user = template.fill(question)
    assert "must not be followed" in system
    fence = user.split()[0]
    assert fence in system
    assert user.count(fence) == 6
    assert user.index("user: Hi") < user.index("one") < user.index("two")
    assert "[[" not in system + user


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("[[prompt]] [[left]]", "right"),
        ("[[prompt]] [[left]] [[right]]\n===\nwhich?", "left"),
        ("a\n===\nb\n===\nc", "==="),
    ],
)
def test_templates_that_ask_nothing(text: str, what: str) -> None:
    with pytest.raises(ConfigError, match=what):
        parse_template(text, "own")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nothing\.txt"):
        load_template(tmp_path, "nothing.txt")


def test_the_digest_follows_the_text(tmp_path: Path) -> None:
    assert parse_template(OWN, "x").digest == parse_template(OWN, "y").digest != parse_template(OWN + "!", "x").digest
