import json
import tomllib

import pytest

from pairloop.cli.init import source_for


def read(folder):
    return tomllib.loads((folder / "campaign.toml").read_text())


def test_without_data_it_writes_a_demo_campaign_that_runs(tmp_path, invoke) -> None:
    folder = tmp_path / "My Campaign!"
    result = invoke("init", folder, "--seed", "5")
    assert result.exit_code == 0, result.output
    config = read(folder)
    assert config["data"]["source"] == "demo"
    assert config["campaign"] == {"name": "my-campaign", "seed": 5, "plugins": []}
    step = invoke("step", "--once", folder)
    assert step.exit_code == 0, step.output
    assert "prompts" in step.output


def test_an_existing_configuration_is_never_overwritten(campaign, invoke) -> None:
    before = (campaign / "campaign.toml").read_bytes()
    result = invoke("init", campaign)
    assert result.exit_code == 2
    assert "exists already" in result.stderr
    assert (campaign / "campaign.toml").read_bytes() == before


def test_with_data_it_shows_what_it_recognised_and_imports_nothing(tmp_path, invoke, write_prompts) -> None:
    data = write_prompts(tmp_path / "p.jsonl")
    result = invoke("init", tmp_path / "c", "--data", data)
    assert result.exit_code == 0, result.output
    assert "40 usable rows, 120 responses, 120 candidate pairs" in result.output
    assert "What about harbour meadow case 0?" in result.output
    assert [path.name for path in (tmp_path / "c").iterdir()] == ["campaign.toml"]


@pytest.mark.parametrize(
    ("gold", "votes", "backend"), [(True, False, "simulated"), (True, True, "replay"), (False, True, "replay")]
)
def test_the_backend_fits_the_data_and_the_campaign_runs(gold, votes, backend, tmp_path, invoke, write_prompts) -> None:
    data = write_prompts(tmp_path / "p.jsonl", gold=gold, votes=votes)
    facts = json.loads(invoke("init", tmp_path / "c", "--data", data, "--json").stdout)
    assert facts["backend"] == backend
    assert facts["recognised"]["recorded_votes"] == (40 if votes else 0)
    result = invoke("step", tmp_path / "c")
    assert result.exit_code == 0, result.output
    assert "round 1 → closed" in result.output


def test_data_without_votes_and_gold_is_left_to_people(tmp_path, invoke, write_prompts) -> None:
    data = write_prompts(tmp_path / "p.jsonl", gold=False)
    facts = json.loads(invoke("init", tmp_path / "c", "--data", data, "--json").stdout)
    assert facts["backend"] in ("csv", "manual")


def test_simulated_annotators_without_a_gold_score_are_refused(tmp_path, invoke, write_prompts) -> None:
    data = write_prompts(tmp_path / "p.jsonl", gold=False)
    result = invoke("init", tmp_path / "c", "--data", data, "--backend", "simulated")
    assert result.exit_code == 2
    assert "need a gold score" in result.stderr
    assert not (tmp_path / "c").exists()


def test_the_next_command_can_be_copied_into_a_shell(tmp_path, invoke) -> None:
    assert f"Next: pairloop run '{tmp_path}/my campaign'" in invoke("init", tmp_path / "my campaign").stdout


def test_missing_data_is_not_blamed_on_a_file_that_does_not_exist_yet(tmp_path, invoke) -> None:
    result = invoke("init", tmp_path / "c", "--data", tmp_path / "missing.jsonl")
    assert "--data" in result.stderr
    assert "campaign.toml" not in result.stderr


def test_data_in_the_folder_is_named_relative_so_that_the_folder_can_move(tmp_path, invoke, write_prompts) -> None:
    (tmp_path / "c").mkdir()
    write_prompts(tmp_path / "c" / "p.jsonl")
    invoke("init", tmp_path / "c", "--data", tmp_path / "c" / "p.jsonl")
    assert read(tmp_path / "c")["data"]["path"] == "p.jsonl"


def test_data_that_cannot_be_used_is_refused_with_line_and_reason(tmp_path, invoke) -> None:
    bad = tmp_path / "bad.jsonl"
    bad.write_text("this is not json\n")
    for data, said in ((bad, "Line 1"), (tmp_path / "missing.jsonl", "missing.jsonl")):
        result = invoke("init", tmp_path / "c", "--data", data)
        assert result.exit_code == 2
        assert said in result.stderr
        assert not (tmp_path / "c").exists()


def test_bad_lines_are_named(tmp_path, invoke, write_prompts) -> None:
    data = write_prompts(tmp_path / "p.jsonl", 3)
    data.write_text(data.read_text() + "{broken\n")
    result = invoke("init", tmp_path / "c", "--data", data)
    assert "Line 4 cannot be used" in result.output


def test_a_mistyped_backend_gets_a_suggestion(tmp_path, invoke) -> None:
    result = invoke("init", tmp_path / "c", "--backend", "simulatd")
    assert result.exit_code == 2
    assert 'did you mean "simulated"?' in result.stderr


def test_dry_run_prints_the_file_and_writes_nothing(tmp_path, invoke) -> None:
    result = invoke("init", tmp_path / "c", "--dry-run")
    assert tomllib.loads(result.stdout)["data"]["source"] == "demo"
    assert not (tmp_path / "c").exists()


def test_hostile_text_in_the_data_is_made_harmless(tmp_path, invoke) -> None:
    data = tmp_path / "p.jsonl"
    row = {"prompt": "\x1b]0;owned\x07 [bold]x[/bold]", "responses": [{"text": "a\x1b[31m"}, {"text": "b"}]}
    data.write_text(json.dumps(row) + "\n")
    result = invoke("init", tmp_path / "c", "--data", data)
    assert result.exit_code == 0, result.output
    assert "\x1b" not in result.output
    assert "[bold]x[/bold]" in result.output


def test_a_new_folder_is_private_since_votes_name_people(tmp_path, invoke) -> None:
    invoke("init", tmp_path / "c")
    assert (tmp_path / "c").stat().st_mode & 0o777 == 0o700


def test_guessed_columns_are_shown_and_written_for_confirmation(tmp_path, invoke) -> None:
    data = tmp_path / "Votes.CSV"
    data.write_text("Question;Answer 1;Answer 2;Winner\nWhy?;a;b;model_a\nHow?;c;d;tie\n")
    result = invoke("init", tmp_path / "c", "--data", data)
    assert result.exit_code == 0, result.output
    assert 'response_a is "Answer 1"' in result.output
    assert read(tmp_path / "c")["data"] == {
        "source": "csv",
        "path": str(data),
        "near_duplicate_threshold": 0.9,
        "options": {
            "columns": {
                "prompt": "Question",
                "response_a": "Answer 1",
                "response_b": "Answer 2",
                "preference": "Winner",
            }
        },
    }
    facts = json.loads(invoke("import", tmp_path / "c", "--json").stdout)
    assert (facts["prompts"], facts["responses"], facts["recorded_votes"]) == (2, 4, 2)


def test_columns_that_may_mean_several_things_are_not_guessed(tmp_path, invoke) -> None:
    data = tmp_path / "votes.csv"
    data.write_text("question,instruction,response_a,response_b\np,q,a,b\n")
    result = invoke("init", tmp_path / "c", "--data", data)
    assert result.exit_code == 2
    assert "could each be the prompt" in result.stderr
    assert not (tmp_path / "c").exists()


@pytest.mark.parametrize(
    ("name", "source"),
    [("a.csv", "csv"), ("a.tsv.gz", "csv"), ("a.parquet", "parquet"), ("a.jsonl.gz", "jsonl"), ("a", "jsonl")],
)
def test_the_name_of_a_file_says_which_source_reads_it(tmp_path, name, source) -> None:
    assert source_for(tmp_path / name) == source
    (tmp_path / "folder").mkdir()
    assert source_for(tmp_path / "folder") == "huggingface"
    (tmp_path / "folder" / "x.parquet").touch()
    assert source_for(tmp_path / "folder") == "parquet"
