"""Laws of the bridge to Flax parameters."""

import numpy as np
import pytest
import torch
from torch import nn

from rl.agents.continuous.sac import SACAgent, SacConfig
from rl.errors import CheckpointError
from rl.networks.mlp import MLP
from rl.nn.flax_params import flatten, load_flax_params, to_flax_params
from tests.rl.interop.foreign import nested

SMALL = SacConfig(critic_ensemble_size=3, hidden_dims=(8, 8))


def agent(seed):
    return SACAgent.create_states(5, 3, SMALL, seed=seed).state.modules


@pytest.mark.parametrize("shape", [dict, nested])
def test_a_tree_survives_the_way_there_and_back(shape):
    source, sink = agent(0), agent(1)
    load_flax_params(sink, shape(to_flax_params(source)))
    torch.testing.assert_close(sink.state_dict(), source.state_dict(), rtol=0, atol=0)
    assert flatten(nested(to_flax_params(source))).keys() == to_flax_params(source).keys()


def test_what_does_not_fit_is_named_and_nothing_changes():
    module, tree = agent(0), to_flax_params(agent(1))
    before = {name: value.clone() for name, value in module.state_dict().items()}
    tree["modules_actor/Dense_7/bias"] = tree.pop("modules_actor/Dense_0/bias")
    tree["modules_critic/Dense_0/bias"] = np.zeros((3, 2), np.float32)
    with pytest.raises(CheckpointError) as caught:
        load_flax_params(module, tree)
    for complaint in ("missing modules_actor/Dense_0/bias", "unknown modules_actor/Dense_7/bias", "(3, 2), not (3, 1)"):
        assert complaint in str(caught.value)
    torch.testing.assert_close(module.state_dict(), before, rtol=0, atol=0)


@pytest.mark.parametrize("shape", [dict, nested])
def test_the_level_that_hil_serl_puts_around_a_stacked_trunk_is_read(shape):
    source, sink = agent(0), agent(1)
    tree = {
        path.replace("critic/network/", "critic/network/VmapMLP_0/"): value
        for path, value in to_flax_params(source).items()
    }
    assert "modules_critic/network/VmapMLP_0/Dense_1/kernel" in tree
    load_flax_params(sink, shape(tree))
    torch.testing.assert_close(sink.state_dict(), source.state_dict(), rtol=0, atol=0)
    tree["modules_critic/network/Dense_1/kernel"] = tree["modules_critic/network/VmapMLP_0/Dense_1/kernel"]
    with pytest.raises(CheckpointError, match="of SERL or of HIL-SERL, not of both"):
        load_flax_params(sink, shape(tree))


def test_torchs_own_layers_are_known():
    module = nn.ModuleDict({"net": nn.Sequential(nn.Conv2d(3, 4, 5), nn.GroupNorm(2, 4))})
    shapes = {path: value.shape for path, value in to_flax_params(module).items()}
    assert shapes["modules_net/0/kernel"] == (5, 5, 3, 4)
    assert shapes["modules_net/1/scale"] == (4,)


def test_a_module_without_shapes_says_what_to_do():
    with pytest.raises(CheckpointError, match="materialise"):
        to_flax_params(MLP((4,)))
