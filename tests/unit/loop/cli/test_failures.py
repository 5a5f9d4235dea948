"""Errors: sentences on stderr, and exit codes."""

import os
import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from pairloop.cli.lazy import LazyGroup
from pairloop.errors import BudgetExceeded, CampaignLocked, PairloopError, StorageFull, StoreError, UsageError


def run_failing(error: BaseException, *args: str):
    @click.group(cls=LazyGroup, table={})
    def root() -> None: ...

    @root.command()
    @click.option("--debug", is_flag=True, expose_value=False)
    def fail() -> None:
        raise error

    root.get_command = lambda _ctx, name: {"fail": fail}.get(name)  # type: ignore[method-assign, assignment]
    return CliRunner().invoke(root, ["fail", *args])


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (PairloopError, 1),
        (UsageError, 2),
        (BudgetExceeded, 4),
        (StoreError, 6),
        (StorageFull, 74),
        (CampaignLocked, 75),
    ],
)
def test_an_error_prints_message_and_hint_and_its_own_exit_code(kind: type[PairloopError], code: int) -> None:
    result = run_failing(kind("it broke", "Mend it."))
    assert result.exit_code == code
    assert result.stderr == "Error: it broke\n  Mend it.\n"
    assert result.stdout == ""


def test_an_unexpected_error_is_one_line_and_points_at_debug() -> None:
    result = run_failing(ZeroDivisionError("boom"))
    assert result.exit_code == 1
    assert "Unexpected error: ZeroDivisionError: boom" in result.stderr
    assert "--debug" in result.stderr
    assert "Traceback" not in result.stderr


def test_debug_shows_the_traceback_of_any_error() -> None:
    for error in (ZeroDivisionError("boom"), UsageError("no")):
        assert "Traceback (most recent call last)" in run_failing(error, "--debug").stderr


def test_terminal_escapes_in_a_message_do_not_reach_the_terminal() -> None:
    result = run_failing(UsageError("evil \x1b[2J\u202e text", "and \x07 here"))
    assert "\x1b" not in result.stderr
    assert "\u202e" not in result.stderr
    assert "\x07" not in result.stderr
    assert "\\x1b[2J" in result.stderr


def test_interruption_ends_with_130() -> None:
    assert run_failing(KeyboardInterrupt()).exit_code == 130


def test_a_broken_pipe_is_quiet() -> None:
    script = "import sys; sys.argv = ['pairloop', 'config', 'schema']; from pairloop.cli import main; main()"
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([sys.executable, "-c", script], stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    assert done.stderr == ""
    assert done.returncode == 1


@pytest.mark.parametrize(("typed", "meant"), [("staus", "status"), ("doctr", "doctor"), ("exprt", "export")])
def test_an_unknown_command_gets_a_suggestion(typed: str, meant: str, invoke) -> None:
    result = invoke(typed)
    assert result.exit_code == 2
    assert f"Did you mean '{meant}'?" in result.stderr


@pytest.mark.parametrize("command", ["run", "step", "status", "export", "import", "pull", "reopen", "doctor", "report"])
def test_a_folder_without_a_campaign_is_told_so_and_init_suggested(command: str, tmp_path, invoke) -> None:
    result = invoke(command, tmp_path)
    assert result.exit_code == 2
    said = result.output + result.stderr
    assert "holds no campaign.toml" in said
    assert f"pairloop init {tmp_path}" in said
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_place_of_the_folder_is_called_a_file(campaign, invoke) -> None:
    result = invoke("run", campaign / "prompts.jsonl")
    assert result.exit_code == 2
    assert "prompts.jsonl is a file" in result.stderr


def test_a_wrong_key_is_named_with_a_suggestion(campaign, invoke) -> None:
    config = campaign / "campaign.toml"
    config.write_text(config.read_text().replace("max_rounds", "max_round"))
    result = invoke("run", campaign)
    assert result.exit_code == 2
    assert 'round.max_round: unknown key (did you mean "max_rounds"?)' in result.stderr
