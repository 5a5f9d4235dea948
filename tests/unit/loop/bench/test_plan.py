"""The benchmark's file: what is accepted, what is refused, and which cells it spans."""

from pathlib import Path

import pytest

from pairloop.bench.plan import cells, load_plan
from pairloop.errors import ConfigError

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
    ],
)
def test_mistakes_name_file_and_key(tmp_path: Path, change: tuple[str, str], says: str) -> None:
    file = write(tmp_path, GOOD.replace(*change))
    with pytest.raises(ConfigError) as caught:
        load_plan(file)
    assert str(file) in str(caught.value)
    assert says in str(caught.value)
