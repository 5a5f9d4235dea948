"""The commands of the core: name → where it lives, and the line that ``--help`` shows.

The lines stand here so that listing the commands imports none of them; a test keeps both in step.
"""

from pairloop.cli.lazy import Entry

_HERE = "pairloop.cli"

COMMANDS: dict[str, Entry] = {
    "init": Entry(f"{_HERE}.init:init", "Write a commented campaign.toml that runs.", "Run a campaign"),
    "run": Entry(f"{_HERE}.run:run", "Go on until the campaign is finished or waits for people.", "Run a campaign"),
    "listen": Entry(
        f"{_HERE}.listen:listen", "Run the campaign, and poll at once when a webhook arrives.", "Run a campaign"
    ),
    "step": Entry(f"{_HERE}.run:step", "Make one tick, for cron.", "Run a campaign"),
    "pull": Entry(f"{_HERE}.pull:pull", "Fetch votes without moving the round.", "Run a campaign"),
    "tune": Entry(f"{_HERE}.tune:tune", "Tune the policy now, whatever the gate says.", "Run a campaign"),
    "import": Entry(f"{_HERE}.data:import_", "Read the data source again and add what is new.", "Run a campaign"),
    "data": Entry(f"{_HERE}.curation:data", "Say what is in the data, and what is wrong with it.", "Look at it"),
    "reopen": Entry(f"{_HERE}.rounds:reopen", "Collect votes again in the latest round.", "Run a campaign"),
    "abandon": Entry(f"{_HERE}.rounds:abandon", "Give up the open round; its votes stay.", "Run a campaign"),
    "status": Entry(f"{_HERE}.status:status", "Show where the campaign stands.", "Look at it"),
    "report": Entry(f"{_HERE}.report:report", "Write the HTML report.", "Look at it"),
    "explain": Entry(f"{_HERE}.explain:explain", "Say why a pair was asked, and what came back.", "Look at it"),
    "annotators": Entry(
        f"{_HERE}.annotators:annotators", "Show how annotators do, and decide whose votes count.", "Look at it"
    ),
    "leaderboard": Entry(
        f"{_HERE}.leaderboard:leaderboard", "Rank the models whose responses people compared.", "Look at it"
    ),
    "export": Entry(
        f"{_HERE}.export:export", "Write preferences, votes, verdicts, pairs or disagreements.", "Look at it"
    ),
    "export-model": Entry(
        f"{_HERE}.export_model:export_model", "Copy a model out of the campaign, with a card.", "Look at it"
    ),
    "bench": Entry(f"{_HERE}.bench:bench", "Compare strategies, models and annotators.", "Look at it"),
    "doctor": Entry(
        f"{_HERE}.doctor:doctor", "Check installation, configuration, data, folder and store.", "Maintain it"
    ),
    "plugins": Entry(f"{_HERE}.plugins:plugins", "List the installed parts.", "Maintain it"),
    "config": Entry(f"{_HERE}.config:config", "Show the configuration or its schema.", "Maintain it"),
    "db": Entry(f"{_HERE}.db:db", "Maintain the campaign's database.", "Maintain it"),
}
