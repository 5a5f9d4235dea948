"""Torch or nothing. The models are untrained ones of a few thousand weights, made here."""

import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
if str(HERE) not in sys.path:
    sys.path.insert(0, str(HERE))  # makes ``tiny_models`` importable


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)


@pytest.fixture(scope="session")
def bert(tmp_path_factory):
    """A folder with a tiny encoder. Never written to."""
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    from tiny_models import tiny_bert

    return tiny_bert(tmp_path_factory.mktemp("bert"))


@pytest.fixture(scope="session")
def llama(tmp_path_factory):
    """A folder with a tiny causal model that pads with its end of sequence. Never written to."""
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    from tiny_models import tiny_llama

    return tiny_llama(tmp_path_factory.mktemp("llama"))
