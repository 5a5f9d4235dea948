"""``pairloop export-model``."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pairloop.cli.options import debug_option, dry_run_option, folder_argument, json_option

if TYPE_CHECKING:
    from pairloop.config import Config


@click.command("export-model")
@folder_argument
@click.option(
    "--out", type=click.Path(path_type=Path), metavar="FOLDER", required=True, help="New folder; written whole."
)
@click.option(
    "--role", type=click.Choice(["reward", "policy", "reference"]), default="reward", show_default=True,
    help="Reward model, tuned policy, or the policy before any tuning.",
)  # fmt: skip
@click.option("--round", "round_number", type=click.IntRange(min=0), help="Of this round; by default the latest.")
@click.option(
    "--form", type=click.Choice(["pairloop", "transformers"]), default="pairloop", show_default=True,
    help="transformers: refuse what AutoModelForSequenceClassification or AutoModelForCausalLM cannot load.",
)  # fmt: skip
@click.option("--license", "license_name", metavar="ID", help="For the card, such as cc-by-4.0.")
@json_option
@dry_run_option("Only say which model would be written.")
@debug_option
def export_model(
    folder: Path,
    out: Path,
    role: Any,
    round_number: int | None,
    form: str,
    license_name: str | None,
    as_json: bool,
    dry_run: bool,
) -> None:
    """Copy a model out of the campaign, with a card.

    The copy is checked against the model's hash and loads again without the campaign. Its README.md says what the model
    saw, how good it is on held-out votes and how well calibrated. A reward model that knows annotators has their names
    in it.
    """
    from pairloop.cli.opening import open_store
    from pairloop.cli.output import emit_json, line
    from pairloop.exports.hub import new_folder
    from pairloop.exports.model_card import library_of, model_card
    from pairloop.exports.models import chosen_model, manifest_of, require_transformers, write_model
    from pairloop.exports.yaml_head import licence

    license_id, target = licence(license_name), new_folder(out)
    with open_store(folder) as (store, config):
        row = chosen_model(store, role, round_number)
        source = store.artifacts.path(str(row.artifact))
        if form == "transformers":
            require_transformers(source, role)
        manifest = manifest_of(store, row, _name(config, role))
        card = model_card(config.campaign.name, manifest, row.report, license_id, library=library_of(source))
        if not dry_run:
            write_model(source, target, manifest, card)
    facts = {"role": role, "round": row.round, "artifact": row.artifact, "out": str(out), "written": not dry_run}
    if as_json:
        emit_json(facts)
    else:
        line(f"{'Would write' if dry_run else 'Wrote'} the {role} model of round {row.round} to {out}")


def _name(config: "Config", role: str) -> str:
    """What reads the model."""
    return config.reward.model if role == "reward" else config.policy.tuner or "unknown"
