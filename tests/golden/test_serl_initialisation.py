"""Statistics of initial parameters against those recorded from SERL's factories."""

import ast
import json
import math

import numpy as np
import pytest

from rl.agents import launcher
from rl.agents.continuous.drq_config import DrqConfig
from rl.agents.continuous.sac import SACAgent
from rl.agents.continuous.sac_config import SacConfig
from rl.nn.flax_params import to_flax_params
from tests.golden.serl import directory


def recorded_of(factory: str) -> dict[str, dict]:
    return json.loads((directory() / "init_stats.json").read_text())[factory]["params"]


def assert_same_distributions(params: dict[str, np.ndarray], recorded: dict[str, dict]) -> None:
    assert params.keys() == recorded.keys()
    for path, stats in recorded.items():
        value = params[path]
        assert list(value.shape) == stats["shape"]
        # Twelve standard errors: both sides are samples.
        slack = 12 * max(stats["std"], 1e-9) / math.sqrt(value.size)
        assert abs(value.mean() - stats["mean"]) < slack + 1e-6, path
        assert abs(value.std() - stats["std"]) < slack, path
        assert np.isclose(value.max(), stats["max"], rtol=0.05, atol=1e-6), path
        assert np.isclose(value.min(), stats["min"], rtol=0.05, atol=1e-6), path


def test_sac_parameters_are_drawn_from_the_same_distributions() -> None:
    params = to_flax_params(SACAgent.create_states(10, 4, seed=3).state.modules)
    assert_same_distributions(params, recorded_of("make_sac_agent(obs10,act4)"))


CAMERAS = ("front", "wrist")
OBSERVATION = {"state": np.zeros((1, 7))} | {camera: np.zeros((1, 128, 128, 3), np.uint8) for camera in CAMERAS}


@pytest.mark.parametrize("encoder_type", ["small", "resnet", "resnet-pretrained"])
def test_drq_parameters_are_drawn_from_the_same_distributions(encoder_type: str) -> None:
    agent = launcher.make_drq_agent(0, OBSERVATION, np.zeros(4), CAMERAS, encoder_type)
    recorded = recorded_of(f"make_drq_agent({encoder_type},front+wrist,state7,act4)")
    assert_same_distributions(to_flax_params(agent.state.modules), recorded)


def test_bc_parameters_are_drawn_from_the_same_distributions() -> None:
    agent = launcher.make_bc_agent(0, OBSERVATION, np.zeros(4), CAMERAS)
    assert_same_distributions(
        to_flax_params(agent.modules), recorded_of("make_bc_agent(small,front+wrist,state7,act4)")
    )


def test_the_agents_settings_are_those_of_serl() -> None:
    factories = {
        "make_sac_agent(obs10,act4)": SacConfig(),
        "make_drq_agent(small,front+wrist,state7,act4)": DrqConfig(),
    }
    stats = json.loads((directory() / "init_stats.json").read_text())
    for factory, config in factories.items():
        for name, value in ast.literal_eval(stats[factory]["config"]).items():
            if name not in ("image_keys", "target_entropy"):
                assert getattr(config, name) == value, f"{factory}: {name}"
