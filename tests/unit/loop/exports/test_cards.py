"""The data card, and exports beside it: one file with names or pseudonyms, records for Argilla."""

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from pairloop import Choice
from pairloop.config import load_config
from pairloop.report.facts import gather
from pairloop.store import Store
from pairloop_plugins.exchange.json_rows import read_json

Invoke = Callable[..., Result]


def test_a_card_beside_a_file_has_the_numbers_of_the_report(
    told: Callable[..., Path], invoke: Invoke, tmp_path: Path
) -> None:
    folder = told(lambda n, task: [("ann", Choice.LEFT), ("bob", Choice.RIGHT if n % 3 else Choice.LEFT)])
    out = tmp_path / "votes.csv"
    result = invoke("export", folder, "--votes", "--format", "csv", "--out", out, "--card", "--license", "CC-BY-4.0")
    assert result.exit_code == 0, result.output
    card = (tmp_path / "votes.csv.md").read_text("utf-8")
    with Store.open_readonly(folder) as store:
        facts = gather(store, load_config(folder / "campaign.toml"))
    position = facts.habits.position[0].estimate
    assert position is not None
    assert f"the left won {100 * position.value:.1f} %" in card
    assert 'license: "cc-by-4.0"' in card
    assert "| votes | 24 |" in card
    assert "2 annotators; votes by kind: 24 human" in card
    assert "Not measured: 12 pairs" in card, "agreement is not claimed from too few pairs"
    assert "strategy `random` chose, but for 15% of each batch" in card


def test_agreement_is_in_the_card_with_its_interval(
    told: Callable[..., Path], invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pairloop.report.agreement.FEWEST", 5)
    folder = told(lambda n, task: [("ann", Choice.LEFT), ("bob", Choice.RIGHT if n % 3 else Choice.LEFT)])
    assert invoke("export", folder, "--out", tmp_path / "out", "--card").exit_code == 0
    with Store.open_readonly(folder) as store:
        alpha = gather(store, load_config(folder / "campaign.toml")).agreement.alpha
    assert alpha is not None
    assert alpha.low is not None
    line = next(line for line in (tmp_path / "out.md").read_text("utf-8").splitlines() if "Krippendorff" in line)
    said = f"{abs(alpha.value):.3f}", f"{abs(alpha.low):.3f}"
    assert all(number in line for number in said)


def test_an_empty_campaign_has_a_card_too(told: Callable[..., Path], invoke: Invoke, tmp_path: Path) -> None:
    folder = told(lambda number, task: [])
    assert invoke("export", folder, "--out", tmp_path / "out", "--card").exit_code == 0
    card = (tmp_path / "out.md").read_text("utf-8")
    assert "The campaign has 0 votes: none." in card
    assert 'license: "unknown"' in card


@pytest.mark.parametrize(("option", "said"), [([], "odc-by"), (["--license", "mit"], "mit")])
def test_the_licence_of_the_configuration_is_in_the_card(
    told: Callable[..., Path], invoke: Invoke, tmp_path: Path, option: list[str], said: str
) -> None:
    folder = told(lambda number, task: [])
    config = folder / "campaign.toml"
    text = config.read_text("utf-8")
    config.write_text(text.replace('source = "jsonl"', 'source = "jsonl"\nlicense = "ODC-By"', 1), "utf-8")
    assert invoke("export", folder, "--out", tmp_path / "out", "--card", *option).exit_code == 0
    assert f'license: "{said}"' in (tmp_path / "out.md").read_text("utf-8")


def test_csv_keeps_letters_and_starts_no_formula(mixed: Path, invoke: Invoke) -> None:
    for what in ("--votes", "--pairs"):
        text = invoke("export", mixed, what, "--format", "csv").stdout
        rows = list(csv.reader(io.StringIO(text)))
        assert len(rows) == 13
        assert "ü" in text
        assert "Ann É" in text
        assert not [cell for row in rows for cell in row if cell.startswith(("=", "+", "-", "@", "\t"))]


ROWS = ([], ["--votes"], ["--pairs"], ["--disagreements"])


@pytest.mark.parametrize(
    ("what", "form"), [*((what, form) for what in ROWS for form in ("jsonl", "csv")), ([], "argilla")]
)
def test_pseudonyms_are_everywhere_or_nowhere(
    told: Callable[..., Path], invoke: Invoke, what: list[str], form: str
) -> None:
    folder = told(lambda n, task: [("Ann É", Choice.LEFT), ("Bob", Choice.RIGHT)])
    named = invoke("export", folder, *what, "--format", form).stdout
    hidden = invoke("export", folder, *what, "--format", form, "--pseudonyms").stdout
    assert "Ann É" in named
    assert "Ann É" not in hidden
    assert "Bob" not in hidden
    assert "annotator-2" in hidden


def test_argillas_records_come_back_through_the_exchange(told: Callable[..., Path], invoke: Invoke) -> None:
    choices = list(Choice)
    folder = told(lambda n, task: [("ann", choices[n % 5]), ("bob", Choice.RIGHT)])
    text = invoke("export", folder, "--format", "argilla").stdout
    found = {(row.cell("key"), row.cell("annotator")): row for row in read_json(text, 1000)}
    assert len(found) == 24
    assert all(row.problem is None for row in found.values())
    users = {
        user: name for r in json.loads(text) for user, name in (m.split(": ") for m in r["metadata"]["annotators"])
    }
    said = {(key, users[user]): row.cell("choice") for (key, user), row in found.items()}
    with Store.open_readonly(folder) as store:
        for vote in store.annotations.votes():
            choice = vote.choice.mirrored() if vote.flipped else vote.choice
            assert said[vote.pair_id, vote.annotator] == choice.value
    assert {row.cell("reason")[:3] for row in found.values()} == {"=1+"}
    assert {row.cell("strength") for row in found.values()} == {"60"}
