"""Progress and tables: drawn for people, absent in pipes, harmless either way."""

import os
import pty
import subprocess
import sys

from pairloop.cli import output
from pairloop.cli.progress import Bar


def on_terminal(code: str, **environment: str) -> str:
    """What a program writes when stdout and stderr are a terminal."""
    ours, theirs = pty.openpty()
    env = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "100", **environment}
    with subprocess.Popen([sys.executable, "-c", code], stdout=theirs, stderr=theirs, env=env) as child:
        os.close(theirs)
        shown = b""
        while True:
            try:
                block = os.read(ours, 65536)
            except OSError:  # Linux reports the end of a pty so
                break
            if not block:
                break
            shown += block
    assert child.returncode == 0, shown
    return shown.decode()


PROGRESS = (
    "from pairloop.cli.progress import Bar, watched\n"
    "bar = Bar(visible=watched())\nbar.start('tuning [red]x[/red]', 3)\n"
    "for i in range(3): bar.advance(note='kl [b]1[/b]')\nbar.finish(); bar.finish()"
)


def test_progress_is_drawn_on_a_terminal_without_interpreting_markup() -> None:
    shown = on_terminal(PROGRESS)
    assert "tuning [red]x[/red]" in shown
    assert "3/3" in shown
    assert "kl [b]1[/b]" in shown


def test_progress_is_silent_in_a_pipe() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRESS], capture_output=True, check=True)
    assert (done.stdout, done.stderr) == (b"", b"")


def test_new_work_replaces_the_old_bar() -> None:
    bar = Bar(visible=False)
    bar.start("one")
    bar.start("two", 5)
    bar.advance(5)
    bar.finish()


TABLE = "from pairloop.cli.output import table\ntable(('a',), [('[red]x[/red] \\x1b[31m',)])"


def test_no_color_is_respected() -> None:
    assert "\x1b[" in on_terminal(TABLE)  # the heading is bold
    assert "\x1b[3" not in on_terminal(TABLE, NO_COLOR="1")


def test_tables_print_markup_and_escapes_as_text(capsys) -> None:
    output.table(("name",), [("[red]x[/red] \x1b[31m :smile:",)])
    shown = capsys.readouterr().out
    assert "[red]x[/red] \\x1b[31m :smile:" in shown
    assert "\x1b" not in shown


def test_json_survives_lone_surrogates(capsysbinary) -> None:
    import json

    output.emit_json({"folder": "bad\udcff", "text": "héé"})
    raw = capsysbinary.readouterr().out
    assert "héé".encode() in raw
    assert json.loads(raw)["folder"] == "bad\udcff"
