"""A campaign with ``reward.model = "auto"`` says in status what was chosen and why, and ends the same after a kill."""

import os
import signal

from click.testing import CliRunner
from support.projection import differences, projection

from pairloop.campaign import Campaign
from pairloop.cli.app import cli
from pairloop.kit import failpoints
from pairloop.testing.campaigns import toy_config, toy_registry

TEXT = toy_config(
    backend={
        "kind": "simulated", "gold": "toy",
        "options": {"teacher": "noisy", "pool": [{"name": "a", "count": 3, "latency": 0.5}]},
    },
    reward={
        "model": "auto",
        "options": {
            "candidates": ["tfidf", "finetuned"], "first_votes": 20, "fewest_predicted": 4,
            "finetuned": {"model": "./no-such-model"},
        },
    },
    selection={"strategy": "logdet", "random_share": 0.5},
    round={"size": 24, "max_rounds": 3},
    policy={"tuner": None},
)  # fmt: skip


def run(place, kill=None):
    if kill is not None:
        failpoints.set_handler(lambda name: os.kill(os.getpid(), signal.SIGKILL) if name == kill else None)
    place.mkdir(exist_ok=True)
    with Campaign(place, registry=toy_registry(), config_text=TEXT) as campaign:
        return campaign.run()


def test_it_says_what_it_chose_and_ends_the_same_after_a_kill(tmp_path):
    run(tmp_path / "whole")
    whole = projection(tmp_path / "whole")
    child = os.fork()
    if child == 0:
        try:
            run(tmp_path / "killed", "train.before_commit")
        finally:
            os._exit(0)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    run(tmp_path / "killed")
    assert differences(whole, projection(tmp_path / "killed")) == []
    (tmp_path / "whole/campaign.toml").write_text(TEXT, encoding="utf-8")
    said = CliRunner().invoke(cli, ["status", str(tmp_path / "whole")])
    assert said.exit_code == 0, said.output
    assert "auto chose tfidf" in " ".join(said.output.split())
    with Campaign(tmp_path / "whole", registry=toy_registry()) as campaign:
        notes = campaign.store.models.current("reward").report["notes"]
    assert notes[0].startswith("auto chose tfidf, the best: log-loss of ")
    assert notes[1].startswith("finetuned cannot be used: ")
