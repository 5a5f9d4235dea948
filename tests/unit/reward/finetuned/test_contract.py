"""``finetuned`` keeps the contract of reward models, as one network and as an ensemble, encoder and causal."""

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from tiny_models import options as quick

from pairloop.testing.reward_models import RewardModelContract
from pairloop_reward.finetuned.plugin import pairloop_reward_models

pytestmark = pytest.mark.torch


class Contract(RewardModelContract):
    @pytest.fixture
    def spec(self):
        return pairloop_reward_models()[0]


class TestEncoder(Contract):
    @pytest.fixture
    def options(self, bert):
        return quick(bert)


@pytest.mark.slow
class TestCausalEnsemble(Contract):
    @pytest.fixture
    def options(self, llama):
        return quick(llama, members=2, epochs=1)
