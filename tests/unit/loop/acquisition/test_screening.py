"""Screened bounds: never below the truth, near it where they should be, and without effect on the picks."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from dense import dense_greedy

from pairloop.acquisition import lazy_greedy, screening
from pairloop.acquisition.functions import expected_information
from pairloop.acquisition.geometry import differences, rounding, squared_lengths
from pairloop.acquisition.keys import canonical
from pairloop.acquisition.lazy_greedy import Design, Search
from pairloop.acquisition.screening import Screen
from pairloop.testing.fakes import fake_context


def pool(kind, seed, prompts=120, dimensions=24):
    """Coordinates and pairs of one kind of trouble, in float32."""
    generator = np.random.default_rng(seed)
    context = fake_context(prompts, 5, dimensions, seed=seed, pending=0)
    whitened = context.posterior.whitened.copy()
    if kind == "far from the origin":
        whitened += 300.0 * generator.standard_normal(dimensions)
    elif kind == "near-duplicates":
        whitened[1::5] = whitened[::5] + 1e-6 * whitened[1::5]
    elif kind == "duplicates":
        whitened[50:] = np.tile(whitened[:50], (len(whitened) // 50, 1))[: len(whitened) - 50]
    elif kind == "few directions":
        whitened[:, 3:] *= 1e-5
    elif kind == "scales":
        whitened *= 10.0 ** generator.uniform(-8, 4, (len(whitened), 1))
    return whitened.astype(np.float32), canonical(context.candidates), context


KINDS = ["plain", "far from the origin", "near-duplicates", "duplicates", "few directions", "scales"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dense", [0.0, 1e9])
@pytest.mark.parametrize("count", [1, 9, 60])
def test_no_more_is_taken_off_than_the_directions_take(kind, dense, count, monkeypatch):
    monkeypatch.setattr(screening, "_DENSE", dense)
    monkeypatch.setattr(screening, "_BLOCK", 50)
    coordinates, pairs, _ = pool(kind, 1)
    generator = np.random.default_rng(count)
    directions = np.linalg.qr(generator.standard_normal((24, 24)))[0][np.arange(count) % 24] * 0.3
    screen = Screen(coordinates, pairs, slice(None))
    z = differences(coordinates, pairs).astype(np.longdouble)
    exact = np.square(z @ directions.T.astype(np.longdouble)).sum(axis=1)
    for factor in (screen.basis(directions), screen.rounded(directions)):
        assert np.all(screen.reduction(np.arange(len(pairs)), factor) <= exact)


@pytest.mark.parametrize("dense", [0.0, 1e9])
def test_almost_all_is_taken_off(dense, monkeypatch):
    monkeypatch.setattr(screening, "_DENSE", dense)
    coordinates, pairs, _ = pool("plain", 2)
    directions = np.random.default_rng(0).standard_normal((60, 24)) * 0.1 / (1 + np.arange(24))
    screen = Screen(coordinates, pairs, slice(None))
    basis = screen.basis(directions)
    assert len(basis) < 24
    taken = screen.reduction(np.arange(len(pairs)), basis)
    exact = np.square(differences(coordinates, pairs) @ directions.T).sum(axis=1)
    assert taken.sum() > 0.98 * exact.sum()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bulk", [0.0, 2.0])
@pytest.mark.parametrize("seed", range(3))
def test_picks_after_screening_equal_those_of_the_dense_algorithm(kind, bulk, seed, monkeypatch):
    for name, value in (("_LIST", 16), ("_FEW", 2), ("_BULK", bulk)):
        monkeypatch.setattr(lazy_greedy, name, value)
    coordinates, pairs, context = pool(kind, seed)
    variance = squared_lengths(coordinates, pairs)
    z = differences(coordinates, pairs)
    information = expected_information(context.posterior, context.posterior.margin(pairs), variance)
    prompt, cost = context.prompt[pairs[:, 0]], np.ones(len(pairs))
    design = Design(
        coordinates, pairs, information, variance * (1 + rounding(coordinates)), cost, prompt, 2, 7, np.empty((0, 24))
    )
    search = Search(design, 90)
    search.run()
    assert search.screenings > 0
    expected, gains = dense_greedy(z, information, pairs, 90, cost=cost, prompt=prompt, cap=2, seed=7)
    assert search.picks == expected.tolist()
    np.testing.assert_allclose(search.gains, gains, rtol=1e-7)


def test_half_precision_is_left_alone():
    coordinates, pairs, _ = pool("plain", 0, dimensions=600)
    screen = Screen(coordinates.astype(np.float16), pairs, slice(None))
    assert not screen.reduction(np.arange(len(pairs)), screen.rounded(np.ones((3, 600)) * 0.01)).any()
