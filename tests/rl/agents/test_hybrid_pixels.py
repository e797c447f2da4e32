"""Laws of the hybrid agents on images."""

import numpy as np
import pytest
import torch

from rl.agents.continuous.sac import SACAgent
from rl.agents.continuous.sac_hybrid import shaped_hybrid_modules
from rl.agents.continuous.sac_hybrid_policy import make_hybrid_pixel_policy
from rl.agents.continuous.sac_hybrid_single import DrQAgentHybridSingleArm
from rl.common.encoders import EncoderConfig
from rl.nn.layers import init_parameters
from tests.rl.agents import pixels
from tests.rl.agents.hybrids import ACTION, PIXEL_AGENTS, make_config
from tests.rl.agents.pixels import CAMERAS, FROZEN, TRAINED, assert_same, moved, observation, parameters, tiny_encoder

KINDS = pytest.mark.parametrize("kind", [TRAINED, FROZEN])
ALL = ("actor", "critic", "grasp_critic", "temperature")


def make_agent(kind=TRAINED, arms=1, seed=0, **changes):
    config = make_config(arms, encoder=pixels.SMALL.encoder, **changes)
    modules = shaped_hybrid_modules(tiny_encoder(kind, config), pixels.sample(), ACTION[arms], config)
    init_parameters(modules, torch.Generator().manual_seed(seed))
    return PIXEL_AGENTS[arms](modules, config, action_dim=ACTION[arms], seed=seed, device=torch.device("cpu"))


def make_batch(size, arms=1, seed=0, packed=False):
    generator = torch.Generator().manual_seed(seed)
    return pixels.make_batch(size, seed, packed) | {
        "actions": torch.rand(size, ACTION[arms], generator=generator) * 1.8 - 0.9,
        "grasp_penalty": -0.1 * torch.rand(size, generator=generator),
    }


@pytest.mark.parametrize(
    ("names", "trained"),
    [
        ({"grasp_critic"}, {"encoder", "proprio", "proprio_norm"}),
        ({"critic"}, {"encoder", "proprio", "proprio_norm"}),
        ({"actor"}, {"proprio", "proprio_norm"}),
        ({"temperature"}, set()),
    ],
)
def test_both_critics_train_the_image_encoders_and_the_policy_the_state_encoder_alone(names, trained):
    agent = make_agent()
    actor = agent.state.modules["actor"]
    before = parameters(actor)
    agent.update(make_batch(6), names)
    assert {name.split(".")[1] for name in moved(before, actor) if name.startswith("encoder.")} == trained


def test_all_networks_hold_one_encoder_and_so_do_their_targets():
    agent = make_agent()
    for modules in (agent.state.modules, agent.state.targets):
        assert modules["grasp_critic"].encoder is modules["critic"].encoder is modules["actor"].encoder
    assert agent.state.targets["grasp_critic"].encoder is not agent.encoder


@KINDS
@pytest.mark.parametrize("sees", [False, True])
def test_shared_feature_maps_change_nothing(kind, sees):
    """Gradients of all four losses, those for the shared encoder included, as if each had encoded for itself."""
    agent, plain = (make_agent(kind, critic_sees_gripper=sees) for _ in range(2))
    batch, noise = make_batch(6), agent.draw_noise(6)
    grads, metrics = agent._gradients(batch, noise, ALL)
    expected, expected_metrics = SACAgent._gradients(plain, batch, noise, ALL)
    assert_same(metrics, expected_metrics, rtol=1e-5, atol=1e-6)
    for name in ALL:
        for one, other in zip(grads[name], expected[name], strict=True):
            torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


@KINDS
def test_a_restored_agent_continues_exactly_from_packed_batches(tmp_path, kind):
    agent, restored = make_agent(kind, 2, grasp_exploration=0.5), make_agent(kind, 2, seed=9, grasp_exploration=0.5)
    agent.update_high_utd(make_batch(8, 2), 2)
    agent.sample_actions(observation())
    torch.save(agent.state_dict(), tmp_path / "agent.pt")
    restored.load_state_dict(torch.load(tmp_path / "agent.pt", weights_only=True))
    batch = make_batch(8, 2, packed=True)
    assert_same(agent.update_critics(batch), restored.update_critics(batch))
    assert_same(agent.update_high_utd(batch, 2), restored.update_high_utd(batch, 2))
    assert not moved(parameters(agent.state.modules), restored.state.modules)
    assert not moved(parameters(agent.state.targets), restored.state.targets)
    np.testing.assert_array_equal(agent.sample_actions(observation()), restored.sample_actions(observation()))


def test_update_critics_steps_both_critics_alone():
    agent = make_agent()
    agent.update_critics(make_batch(6))
    counts = {name: int(optimizer.count) for name, optimizer in agent.state.optimizers.items()}
    assert counts == {"actor": 0, "critic": 1, "grasp_critic": 1, "temperature": 0}


def test_actions_of_one_observation_and_of_a_batch_agree():
    agent = make_agent(arms=2)
    many = observation((3,))
    actions = agent.sample_actions(many, argmax=True)
    assert actions.shape == (3, 8)
    for index in range(3):
        one = {key: value[index] for key, value in many.items()}
        np.testing.assert_allclose(agent.sample_actions(one, argmax=True), actions[index], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("averaged", [False, True])
def test_an_actor_with_the_published_weights_acts_alike(averaged):
    encoder = EncoderConfig(image_keys=CAMERAS, bottleneck_dim=8)
    config = make_config(1, encoder=encoder, average_policy=averaged)
    scene = {key: np.repeat(np.repeat(x, 2, 1), 2, 2) if x.ndim == 4 else x for key, x in observation().items()}
    agent = DrQAgentHybridSingleArm.create_drq(scene, 4, config, seed=1)
    policy = make_hybrid_pixel_policy(scene, 4, config, seed=2)
    assert not np.allclose(policy.sample_actions(scene, argmax=True), agent.sample_actions(scene, argmax=True))
    policy.load_policy_state_dict(agent.policy_state_dict())
    np.testing.assert_array_equal(policy.sample_actions(scene, argmax=True), agent.sample_actions(scene, argmax=True))


def test_the_shared_encoder_is_published_once():
    agent = make_agent()
    published = agent.policy_state_dict()
    encoder = sum(value.numel() for value in agent.encoder.state_dict().values())
    actor, grasp_critic = (agent.state.modules[name].state_dict().values() for name in ("actor", "grasp_critic"))
    both = sum(value.numel() for value in (*actor, *grasp_critic))
    assert sum(value.size for value in published.values()) == both - encoder


@pytest.mark.slow
@KINDS
def test_a_step_is_one_graph(kind):
    eager, traced = make_agent(kind), make_agent(kind)
    traced.compile(fullgraph=True, backend="aot_eager")
    batch, noise = make_batch(4), eager.draw_noise(4)
    assert_same(eager.update(batch, noise=noise), traced.update(batch, noise=noise), rtol=1e-4, atol=1e-5)


def test_the_grasp_critic_learns_to_tell_bright_images_from_dark_ones():
    agent = make_agent(discount=0.0)
    batch = make_batch(48)
    bright = torch.arange(48) % 2 == 0
    for key in CAMERAS:
        level = torch.where(bright, 200, 30).to(torch.uint8)[:, None, None, None, None]
        batch["observations"][key] = level.expand(-1, 2, 20, 20, 3).contiguous()
    wanted = torch.where(bright, 1.0, -1.0)
    moves = torch.arange(48) // 2 % 3 - 1.0
    batch["actions"][:, -1] = moves
    batch |= {"rewards": -(moves - wanted).abs(), "grasp_penalty": torch.zeros(48)}
    for _ in range(60):
        agent.update_critics(batch)
    seen = {key: value.numpy() for key, value in batch["observations"].items()}
    np.testing.assert_array_equal(agent.sample_actions(seen, argmax=True)[:, -1], wanted.numpy())
