"""What the command line loads before it knows what is wanted."""

import subprocess
import sys

import pytest

from pairloop.cli.app import cli
from pairloop.cli.more import names
from pairloop.cli.table import COMMANDS

HEAVY = (
    "numpy", "pydantic", "sqlite_utils", "torch", "transformers", "sklearn", "pandas", "matplotlib", "scipy", "rich",
    "pluggy", "tomlkit", "importlib.metadata",
)  # fmt: skip


@pytest.mark.parametrize(
    "code",
    [
        "import pairloop",
        "import pairloop.cli",
        "from click.testing import CliRunner as R; from pairloop.cli.app import cli; R().invoke(cli, ['--help'])",
        "from click.testing import CliRunner as R; from pairloop.cli.app import cli; R().invoke(cli, ['--version'])",
    ],
)
def test_nothing_heavy_is_loaded_before_a_command_needs_it(code: str) -> None:
    script = f"{code}\nimport sys\nprint([m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", list(COMMANDS))
def test_the_line_in_the_help_is_the_first_line_of_the_command(name: str) -> None:
    command = cli.get_command(None, name)  # type: ignore[arg-type]
    assert command is not None
    assert command.name == name
    assert (command.help or "").partition("\n")[0] == COMMANDS[name].summary


def test_commands_of_other_packages_are_found_as_importlib_finds_them() -> None:
    from importlib.metadata import entry_points

    for group in ("pairloop.commands", "pairloop", "console_scripts"):
        assert names(group) == sorted({point.name for point in entry_points(group=group)})


def test_an_announced_command_is_listed_and_loaded_only_when_used(tmp_path, monkeypatch) -> None:
    info = tmp_path / "extra-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: extra\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[pairloop.commands]\nshout = extra_module:shout\nbroken = no_such_module:x\nodd = json:dumps\n"
    )
    (tmp_path / "extra_module.py").write_text(
        "import click\n\n\n@click.command()\ndef shout():\n    click.echo('LOUD')\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    from click.testing import CliRunner

    listed = CliRunner().invoke(cli, ["--help"])
    assert "More commands:" in listed.output
    assert "shout" in listed.output.partition("More commands:")[2]
    assert "extra_module" not in sys.modules
    assert CliRunner().invoke(cli, ["shout"]).output == "LOUD\n"
    broken = CliRunner().invoke(cli, ["broken"])
    assert broken.exit_code == 4
    assert "'broken' of extra 1.0 cannot be loaded" in broken.stderr
    odd = CliRunner().invoke(cli, ["odd"])
    assert odd.exit_code == 4
    assert "is no click command, but function" in odd.stderr
