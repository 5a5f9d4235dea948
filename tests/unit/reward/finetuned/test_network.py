"""Padding changes nothing: sequences of different lengths give together what each gives alone."""

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

import torch

from pairloop_reward.backbone.location import locate
from pairloop_reward.finetuned.network import load_network

pytestmark = pytest.mark.torch


@pytest.mark.parametrize("kind", ["bert", "llama"])
def test_a_batch_gives_what_its_sequences_give_alone(request, kind):
    location = locate(str(request.getfixturevalue(kind)), where="model")
    network = load_network(location, torch.device("cpu"))
    network.set_head(torch.linspace(-1, 1, network.head.in_features))
    # the last one ends in the very id that pads
    sequences = [[5, 7, 9], [8], [11, 12, 13, 14, 15, 16], [9, 8, network.pad]]
    with torch.no_grad():
        together = network.rewards(sequences)
        alone = torch.cat([network.rewards([each]) for each in sequences])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-5)
    assert alone.std() > 1e-2
