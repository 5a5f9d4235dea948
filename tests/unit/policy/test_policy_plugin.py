"""The plugin module is light, its parts fulfil the contract, and an absent torch is an error that names the extra."""

import subprocess
import sys

import pytest
from policy_toys import OPTIONS, SMALL

from pairloop.errors import MissingExtra
from pairloop.protocols import TunerSpec
from pairloop.testing.tuners import TunerContract
from pairloop_policy.options import BestOfNOptions
from pairloop_policy.plugin import pairloop_tuners

SPECS = {spec.name: spec for spec in pairloop_tuners()}


def test_the_plugin_module_imports_no_heavy_library():
    code = (
        "import sys, pairloop_policy.plugin as p; p.pairloop_tuners();"
        "print([m for m in ('torch', 'transformers', 'tokenizers', 'sklearn', 'pandas') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", ["rloo", "best_of_n"])
def test_without_torch_the_extra_is_named(monkeypatch, name):
    monkeypatch.setitem(sys.modules, "torch", None)
    spec = SPECS[name]
    with pytest.raises(MissingExtra, match=r"pairloop\[torch\]"):
        spec.factory(spec.options())


@pytest.mark.parametrize("name", ["rloo", "best_of_n"])
def test_every_option_is_documented(name):
    for field, info in SPECS[name].options.model_fields.items():
        assert info.description, field


TINY = SMALL.model_copy(update={"steps": 12})


@pytest.mark.torch
class TestRLOOContract(TunerContract):
    @pytest.fixture
    def spec(self) -> TunerSpec:
        pytest.importorskip("torch")
        return SPECS["rloo"]

    @pytest.fixture
    def options(self, spec):
        return OPTIONS.model_copy(update={"steps": 3, "scratch": TINY})


@pytest.mark.torch
class TestBestOfNContract(TunerContract):
    @pytest.fixture
    def spec(self) -> TunerSpec:
        pytest.importorskip("torch")
        return SPECS["best_of_n"]

    @pytest.fixture
    def options(self, spec):
        return BestOfNOptions(candidates=2, max_new_tokens=10, scratch=TINY)
