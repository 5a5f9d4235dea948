"""Attaching to a project of theirs: its labeling config is understood, or refused with what to write."""

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from support.studio import Studio

from pairloop.cli.app import cli
from pairloop.errors import ConfigError
from pairloop.protocols import Preparing
from pairloop.records import Choice
from pairloop_plugins.label_studio.attach import meaning, propose
from pairloop_plugins.label_studio.codec import Unreadable, said
from pairloop_plugins.label_studio.labeling import parse
from pairloop_plugins.label_studio.options import LabelStudioOptions, MappingOptions
from pairloop_plugins.label_studio.setup import prepare

TEXTS = '<Text name="q" value="$question"/><Text name="r1" value="$answer1"/><Text name="r2" value="$answer2"/>'
CHOICES = (
    f'<View>{TEXTS}<Choices name="verdict" toName="q"><Choice value="Answer 1 is better"/>'
    '<Choice value="About the same"/>'
    '<Choice value="Answer 2 is better"/></Choices><TextArea name="why" toName="q"/></View>'
)
PAIRWISE = f'<View>{TEXTS}<Pairwise name="cmp" toName="r1,r2"/></View>'
RATINGS = f'<View>{TEXTS}<Rating name="s1" toName="r1"/><Rating name="s2" toName="r2"/></View>'
RANKER = '<View><Text name="p" value="$prompt"/><List name="l" value="$items"/><Ranker name="rank" toName="l"/></View>'


@pytest.mark.parametrize(
    ("value", "choice"),
    [
        ("A", Choice.LEFT),
        ("B is much better", Choice.RIGHT),
        ("Response 1", Choice.LEFT),
        ("prefer right", Choice.RIGHT),
        ("Tie", Choice.TIE),
        ("about the same", Choice.TIE),
        ("Both are good", Choice.TIE),
        ("both bad", Choice.BOTH_BAD),
        ("unsure", Choice.SKIP),
        ("neither", None),
        ("left is worse", None),
        ("good", None),
        ("not A", None),
        ("0", None),
        ("A or B", None),
        ("Great!", None),
    ],
)
def test_what_a_value_says(value: str, choice: Choice | None) -> None:
    assert meaning(value) is choice


@pytest.mark.parametrize(
    ("config", "kind", "preference", "fields"),
    [
        (CHOICES, "choices", "verdict", ("question", "answer1", "answer2")),
        (PAIRWISE, "pairwise", "cmp", ("question", "answer1", "answer2")),
        (RATINGS, "ratings", "s1", ("question", "answer1", "answer2")),
        (RANKER, "ranker", "rank", ("prompt", "left", "right")),
    ],
)
def test_a_config_is_understood(config: str, kind: str, preference: str, fields: tuple[str, str, str]) -> None:
    found = propose(config, MappingOptions())
    mapping = found.mapping
    assert (mapping.kind, mapping.preference) == (kind, preference)
    assert (mapping.prompt, mapping.left, mapping.right) == fields
    assert mapping.rating is None
    assert found.guessed, "somebody has to say yes"
    assert propose(config, mapping.model_copy()).mapping == mapping


def test_what_people_see_decides_and_what_is_stored_must_not_disagree() -> None:
    aliased = CHOICES.replace('value="Answer 1 is better"', 'value="Answer 1 is better" alias="v17"')
    assert propose(aliased, MappingOptions()).mapping.choices["v17"] is Choice.LEFT
    with pytest.raises(ConfigError, match="Answer 1 is better"):
        propose(aliased.replace("v17", "right"), MappingOptions())


@pytest.mark.parametrize("config", [CHOICES, PAIRWISE, RATINGS, RANKER])
def test_the_sdk_of_label_studio_reads_the_same(config: str) -> None:
    """Its ``LabelInterface``, where it is installed; the project does not need it."""
    interface = pytest.importorskip("label_studio_sdk.label_interface").LabelInterface(config)
    parsed = parse(config)
    assert {c.name: (c.tag, tuple(c.to_name), set(c.labels)) for c in interface.controls} == {
        c.name: (c.tag, c.to_names, set(c.values)) for c in parsed.controls.values()
    }
    assert {o.name: o.value[1:] for o in interface.objects} == parsed.field_of


def test_what_is_given_is_not_asked_again() -> None:
    found = propose(CHOICES, MappingOptions()).mapping
    again = propose(CHOICES, MappingOptions(**found.model_dump()))
    assert again.mapping == found
    assert again.guessed == ()


def test_the_choices_of_theirs() -> None:
    found = propose(CHOICES, MappingOptions()).mapping
    assert list(found.choices.values()) == [Choice.LEFT, Choice.TIE, Choice.RIGHT]
    assert found.reason == "why"


@pytest.mark.parametrize(
    ("config", "problem"),
    [
        (
            f'<View>{TEXTS}<Choices name="c" toName="q"><Choice value="A"/><Choice value="neither"/></Choices></View>',
            "'neither'",
        ),
        (f'<View>{TEXTS}<Choices name="c" toName="q" value="$options"/></View>', "no control"),
        (f'<View>{TEXTS}<Rating name="stars" toName="q"/></View>', 'Rating "stars"'),
        (
            f'<View>{TEXTS}<Pairwise name="x" toName="r1,r2"/><Pairwise name="y" toName="r1,r2"/></View>',
            "several controls",
        ),
        (
            PAIRWISE.replace("<View>", '<View><Text name="t" value="$title"/>').replace("$question", "$subject"),
            "the prompt",
        ),
        (CHOICES.replace("answer1", "one_of").replace("answer2", "other"), "hold the two responses"),
        (
            CHOICES.replace("$answer1", "$zz").replace("$answer2", "$answer1").replace("$zz", "$answer2"),
            "displayed before",
        ),
        ("<View>", "cannot be read"),
    ],
)
def test_what_is_not_certain_is_refused(config: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem) as caught:
        propose(config, MappingOptions())
    assert caught.value.hint is None or "--set" in caught.value.hint


def _region(name: str, kind: str, value: dict[str, Any]) -> dict[str, Any]:
    return {"from_name": name, "to_name": "x", "type": kind, "value": value}


def test_stars_and_rankings_as_votes() -> None:
    stars = propose(RATINGS, MappingOptions()).mapping

    def rated(left: int, right: int) -> str:
        regions = [_region("s2", "rating", {"rating": right}), _region("s1", "rating", {"rating": left})]
        return said({"result": regions}, False, stars).choice

    assert (rated(5, 2), rated(2, 5), rated(3, 3)) == ("left", "right", "tie")
    with pytest.raises(Unreadable, match="only one"):
        said({"result": [_region("s1", "rating", {"rating": 3})]}, False, stars)

    ranker = propose(RANKER, MappingOptions()).mapping
    data = {"items": [{"id": "x9", "body": "one"}, {"id": "x7", "body": "two"}]}

    def ranked(*ids: str) -> str:
        return said(
            {"result": [_region("rank", "ranker", {"ranker": {"rank": list(ids)}})]}, False, ranker, data
        ).choice

    assert (ranked("x9", "x7"), ranked("x7", "x9")) == ("left", "right")
    with pytest.raises(Unreadable, match="not the two responses"):
        ranked("x9", "x8")


def project_of_theirs(studio: Studio, config: str) -> int:
    made = studio._ok(studio.http.post("/api/projects/", json={"title": "Theirs", "label_config": config}))
    return int(made["id"])


def test_attaching_writes_nothing_to_the_server(fake: Studio, tmp_path: Path) -> None:
    project = project_of_theirs(fake, CHOICES)
    assert fake.fake is not None
    fake.fake.calls.clear()
    made = prepare(LabelStudioOptions(url=fake.url, project=project), Preparing("mine", tmp_path))
    assert {call.split()[0] for call in fake.fake.calls} == {"GET"}
    options = LabelStudioOptions(**made.options)
    assert options.mapping.preference == "verdict"
    assert options.mapping.rating is None
    assert options.may_set == ()
    assert "No setting of it will be changed" in " ".join(made.told)


def test_a_config_with_more_fields_takes_no_questions_of_ours(studio: Studio, tmp_path: Path) -> None:
    project = project_of_theirs(studio, CHOICES.replace("<View>", '<View><Header value="$title"/>'))
    options = LabelStudioOptions(url=studio.url, project=project)
    with pytest.raises(ConfigError, match="displays title as well"):
        prepare(options, Preparing("mine", tmp_path, {}))


def test_init_asks_once_and_stores_the_answer(studio: Studio, tmp_path: Path) -> None:
    project = project_of_theirs(studio, CHOICES)
    arguments = [
        "init",
        str(tmp_path / "c"),
        "--backend",
        "label-studio",
        "--project",
        str(project),
        "--set",
        f"url={studio.url}",
    ]
    alone = CliRunner().invoke(cli, arguments)
    assert alone.exit_code == 2, alone.output
    assert "'Answer 2 is better' = right" in alone.output
    assert not (tmp_path / "c" / "campaign.toml").exists()
    made = CliRunner().invoke(cli, [*arguments, "--yes"])
    assert made.exit_code == 0, made.output
    assert '"Answer 2 is better" = "right"' in (tmp_path / "c" / "campaign.toml").read_text(encoding="utf-8")
    assert CliRunner().invoke(cli, ["doctor", str(tmp_path / "c")]).exit_code == 0
