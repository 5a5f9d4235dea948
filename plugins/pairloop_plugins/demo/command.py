"""``pairloop demo``: a whole campaign on the demo's data, from nothing to a report.

It does what a user would do by hand: write ``campaign.toml``, ``pairloop run``, ``pairloop report``.
"""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click

from pairloop.config.template import template
from pairloop.errors import UsageError
from pairloop.kit.atomic import write_atomic

CONFIG = "campaign.toml"


@click.command("demo")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False), default=Path("demo-campaign"))
@click.option("--rounds", type=click.IntRange(min=1), default=8, show_default=True, help="Rounds to run.")
@click.option("--seed", type=click.IntRange(min=0), default=7, show_default=True, help="Seed of the campaign.")
@click.option("--policy/--no-policy", "policy", default=None, help="Tune a policy (default: if torch is installed).")
@click.pass_context
def demo(context: click.Context, folder: Path, rounds: int, seed: int, policy: bool | None) -> None:
    """Run a whole campaign offline on the demo's data.

    Simulated annotators of uneven quality judge replies of a help desk by a stated gold score. The reward model is
    retrained after every round, a tiny language model is trained on the spot and tuned by RL, its new replies are
    judged in the next rounds, and a report is written. An interrupted demo goes on where it stopped.
    """
    if policy is None:
        policy = find_spec("torch") is not None and find_spec("transformers") is not None
        if not policy:
            click.echo(
                "torch is not installed: the demo leaves the policy out (pip install 'pairloop[torch]')", err=True
            )
    text = configuration(rounds, seed, policy=policy)
    file = folder / CONFIG
    if file.exists() and file.read_text(encoding="utf-8") != text:
        raise UsageError(
            f"{file} exists and is not the configuration of this demo",
            "Choose another folder, remove it, or go on with it: pairloop run " + str(folder),
        )
    if not file.exists():
        folder.mkdir(parents=True, exist_ok=True)
        write_atomic(file, text, mode=0o644)
        click.echo(f"wrote {file}", err=True)
    for name in ("run", "report"):
        _invoke(context, name, folder)
    click.echo(f"\nOpen {folder / 'report.html'} in a browser. The same steps by hand: README.md", err=True)


def _invoke(context: click.Context, name: str, folder: Path) -> None:
    """Call another command of the same program, as if it had been typed."""
    root = context.find_root()
    group: Any = root.command
    command: click.Command = group.get_command(root, name)
    with command.make_context(name, [str(folder)], parent=root) as inner:
        command.invoke(inner)


def configuration(rounds: int, seed: int, *, policy: bool) -> str:
    """The demo's ``campaign.toml``."""
    tuning: dict[str, Any] = {
        "tuner": "rloo",
        "model": "scratch",
        "start_labels": 450,
        "every_labels": 450,
        "prompts": 64,
        "sample_prompts": 32,
        "kl_budget": 10.0,
        "options": {"temperature": 0.8},
    }
    return template(
        {
            "campaign": {"name": "demo", "seed": seed},
            "data": {"source": "demo"},
            "backend": {
                "kind": "simulated",
                "gold": "demo",
                "options": {"teacher": "crowd", "prompt_rating_key": "bad_prompt"},
            },
            "round": {"size": 150, "max_rounds": rounds},
            "holdout": {"share": 0.2},
            "budget": {"cost_per_vote": 0.1},
            "policy": tuning if policy else {},
        }
    )
