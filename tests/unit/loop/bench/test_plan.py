"""The benchmark's file: what is accepted, what is refused, and which cells it spans."""

from pathlib import Path

import pytest

from pairloop.bench.plan import cells, load_plan
from pairloop.errors import ConfigError, UsageError

GOOD = """
[bench]
seeds = 2
first_seed = 5
[[data]]
name = "toy"
path = "rows.jsonl"
[[annotators]]
name = "a"
[[strategies]]
name = "random"
strategy = "random"
random_share = 1.0
[[strategies]]
name = "logdet"
"""


def write(folder: Path, text: str) -> Path:
    file = folder / "plan.toml"
    file.write_text(text)
    return file


def test_cells_are_the_product_with_seeds_outermost(tmp_path: Path) -> None:
    plan = load_plan(write(tmp_path, GOOD))
    assert [cell.label for cell in cells(plan)] == [
        f"toy/a/tfidf/{strategy}/{seed}" for seed in (5, 6) for strategy in ("random", "logdet")
    ]
    assert plan.baseline == "random"


def test_data_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    assert load_plan(write(tmp_path, GOOD)).data[0].path == str(tmp_path / "rows.jsonl")


def test_the_fingerprint_follows_what_decides_the_result_and_nothing_else(tmp_path: Path) -> None:
    def first(text: str) -> str:
        return next(cells(load_plan(write(tmp_path, text)))).fingerprint({"data": "x"})

    assert first(GOOD) == first(GOOD.replace("seeds = 2", "seeds = 3"))
    assert first(GOOD) == first(GOOD.replace("[bench]", "[bench]\nworkers = 2"))
    assert first(GOOD) != first(GOOD.replace("[bench]", "[bench]\nvotes = 77"))
    assert first(GOOD) != first(GOOD.replace("first_seed = 5", "first_seed = 6"))
    assert first(GOOD) != first(GOOD.replace("random_share = 1.0", "random_share = 0.5"))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("seeds = 2", "sedes = 2"), 'bench.sedes: unknown key (did you mean "seeds"?)'),
        (("seeds = 2", "seeds = 0"), "bench.seeds"),
        (('name = "logdet"', 'name = "random"'), "strategies: two arms have the same name"),
        (("seeds = 2", 'seeds = 2\nbaseline = "bald"'), "there is no strategy arm called 'bald'"),
        (("[bench]", "[bench"), "not valid TOML"),
        (("[[annotators]]", "[[annotatorz]]"), "annotatorz: unknown key"),
        (("seeds = 2", "schedule = [50, 20]"), "votes must rise from round to round"),
        (("seeds = 2", 'match = ["bald"]'), "bench.match: there is no strategy arm called 'bald'"),
        (('name = "logdet"', 'name = "x"\nconfig = { round = { replcas = 3 } }'), "strategies.x.config"),
        (('name = "logdet"', 'name = "x"\nconfig = { rounds = { replicas = 3 } }'), "rounds: unknown key"),
        (('name = "logdet"', 'name = "x"\nconfig = { data = { path = "y" } }'), "config.data.path is the same for all"),
        (('name = "logdet"', 'name = "x"\nconfig = { round = { size = 3 } }'), "config.round.size is the same"),
    ],
)
def test_mistakes_name_file_and_key(tmp_path: Path, change: tuple[str, str], says: str) -> None:
    file = write(tmp_path, GOOD.replace(*change))
    with pytest.raises(ConfigError) as caught:
        load_plan(file)
    assert str(file) in str(caught.value)
    assert says in str(caught.value)


def test_an_arm_may_change_any_other_key(tmp_path: Path) -> None:
    extra = 'name = "logdet"\nvotes = 150\n[strategies.config]\nround.replicas = 3\nreward.model = "classifier"\n'
    plan = load_plan(write(tmp_path, GOOD.replace('name = "logdet"', extra)))
    one, other = list(cells(plan))[:2]
    assert (one.config["round"]["replicas"], one.config["reward"]["model"]) == (1, "tfidf")
    assert (other.config["round"]["replicas"], other.config["reward"]["model"]) == (3, "classifier")
    assert one.config["campaign"] == other.config["campaign"]  # the same display orders under the same seed
    assert (one.rounds[-1], other.rounds) == (300, (50, 100, 150))


@pytest.mark.parametrize(
    ("keys", "votes", "rounds"),
    [
        ("votes = 120\nbatch = 50", None, (50, 100, 120)),
        ("schedule = [30, 100, 900]", None, (30, 100, 900)),
        ("schedule = [30, 100, 900]", 500, (30, 100, 500)),
    ],
)
def test_rounds_come_by_batch_or_by_schedule(
    tmp_path: Path, keys: str, votes: int | None, rounds: tuple[int, ...]
) -> None:
    arm = f'name = "logdet"\nvotes = {votes}' if votes else 'name = "logdet"'
    text = GOOD.replace("seeds = 2", keys).replace('name = "logdet"', arm)
    assert list(cells(load_plan(write(tmp_path, text))))[1].rounds == rounds


def test_data_can_be_given_apart_from_the_plan(tmp_path: Path) -> None:
    file = write(tmp_path, GOOD)
    assert load_plan(file, {"toy": tmp_path / "x.jsonl"}).data[0].path == str(tmp_path / "x.jsonl")
    with pytest.raises(UsageError, match="no data called 'tiy'"):
        load_plan(file, {"tiy": tmp_path})
