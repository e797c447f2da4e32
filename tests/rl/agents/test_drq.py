"""Laws of the DrQ agent."""

import copy
import dataclasses

import numpy as np
import pytest
import torch

from rl.agents.continuous.augmentation import unpack
from rl.agents.continuous.drq import DrQAgent, DrqConfig, make_drq_policy
from rl.agents.continuous.sac import SACAgent, batch_rows
from rl.common.encoders import EncoderConfig, frozen_trunk
from rl.common.encoding import MAP
from rl.errors import CheckpointError, ConfigError, DataError
from tests.rl.agents.pixels import (
    ACTION,
    CAMERAS,
    FROZEN,
    SMALL,
    TRAINED,
    assert_same,
    make_batch,
    make_drq,
    moved,
    observation,
    parameters,
)

KINDS = pytest.mark.parametrize("kind", [TRAINED, FROZEN])


def part_of(names):
    """Which parts of the shared encoder these parameters of the policy are."""
    return {name.split(".")[1] for name in names if name.startswith("encoder.")}


@KINDS
def test_image_encoders_follow_the_critic_alone_and_the_state_encoder_both(kind):
    agent = make_drq(kind)
    actor = agent.state.modules["actor"]
    before = parameters(actor)
    agent.update(make_batch(6), {"actor"})
    assert part_of(moved(before, actor)) == {"proprio", "proprio_norm"}
    before = parameters(actor)
    agent.update(make_batch(6), {"critic"})
    assert part_of(moved(before, actor)) == {"encoder", "proprio", "proprio_norm"}
    assert not {name for name in moved(before, actor) if not name.startswith("encoder.")}


def test_policy_and_critic_hold_one_encoder_and_so_do_their_targets():
    agent = make_drq()
    for modules in (agent.state.modules, agent.state.targets):
        assert modules["actor"].encoder is modules["critic"].encoder
    assert agent.state.targets["critic"].encoder is not agent.encoder


def test_a_frozen_trunk_never_moves_and_is_held_once():
    agent = make_drq(FROZEN)
    trunk = frozen_trunk(agent.encoder)
    before = parameters(trunk)
    agent.update_high_utd(make_batch(8), 2)
    assert not moved(before, trunk)
    slow = frozen_trunk(agent.state.targets["critic"].encoder)
    assert all(one is other for one, other in zip(trunk.parameters(), slow.parameters(), strict=True))


@KINDS
def test_shared_feature_maps_change_nothing(kind):
    agent, plain = make_drq(kind), make_drq(kind)
    batch, noise = make_batch(6), agent.draw_noise(6)
    names = ("actor", "critic", "temperature")
    grads, metrics = agent._gradients(batch, noise, names)
    expected, expected_metrics = SACAgent._gradients(plain, batch, noise, names)
    assert_same(metrics, expected_metrics, rtol=1e-5, atol=1e-6)
    for name in names:
        for one, other in zip(grads[name], expected[name], strict=True):
            torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


def test_feature_maps_of_a_frozen_trunk_are_taken_for_whole_batches():
    agent = make_drq(FROZEN)
    prepared = agent._prepared(make_batch(4), None)
    assert prepared["observations"].keys() == {"state", *(key + MAP for key in CAMERAS)}


def test_kept_feature_maps_of_a_frozen_trunk_stand_for_the_images():
    config = dataclasses.replace(SMALL, crop_padding=0)
    one, other = make_drq(FROZEN, config=config), make_drq(FROZEN, config=config)
    batch = make_batch(8)
    kept = {**batch, **{when: one.encoder.encode_maps(batch[when]) for when in ("observations", "next_observations")}}
    assert_same(one.update_high_utd(batch, 2), other.update_high_utd(kept, 2))
    augmenting = make_drq(FROZEN)
    assert_same(augmenting.augment(kept)["observations"], kept["observations"])


def test_packed_batches_give_the_same_updates():
    one, other = make_drq(), make_drq()
    packed = make_batch(6, packed=True)
    assert_same(one.update_high_utd(packed, 2), other.update_high_utd(unpack(packed, CAMERAS), 2))
    assert not moved(parameters(one.state.modules), other.state.modules)


def test_an_unpacked_next_observation_is_one_frame_later():
    packed = make_batch(2, packed=True)
    batch = unpack(packed, CAMERAS)
    for key in CAMERAS:
        run = packed["observations"][key]
        assert torch.equal(batch["observations"][key], run[:, :-1])
        assert torch.equal(batch["next_observations"][key], run[:, 1:])
    assert unpack(batch, CAMERAS) is batch


def test_crops_differ_between_observations_and_cameras_and_keep_the_motion_in_a_stack():
    agent = make_drq()
    batch = make_batch(64)
    crops = agent.draw_crops(batch)
    drawn = [moment[key] for moment in (crops.observations, crops.next_observations) for key in CAMERAS]
    for index, corners in enumerate(drawn):
        assert corners.shape == (64, 2)
        assert (corners.min(), corners.max()) == (0, 8)
        assert not any(torch.equal(corners, other) for other in drawn[:index])
    still = {**batch["observations"], "front": batch["observations"]["front"][:, :1].expand(-1, 2, -1, -1, -1)}
    cropped = agent.augment({**batch, "observations": still}, crops)["observations"]["front"]
    assert torch.equal(cropped[:, 0], cropped[:, 1])


def test_crops_in_serl_mode_are_one_per_frame_for_all_cameras():
    agent = make_drq(config=SMALL.as_in_serl())
    crops = agent.draw_crops(make_batch(64))
    front, wrist = (crops.observations[key] for key in CAMERAS)
    assert torch.equal(front, wrist)
    assert not torch.equal(front[:, 0], front[:, 1])
    assert not torch.equal(front, crops.next_observations["front"])


def test_without_padding_images_stay():
    agent = make_drq(config=dataclasses.replace(SMALL, crop_padding=0))
    batch = make_batch(3)
    assert_same(agent.augment(batch)["observations"], batch["observations"])


@KINDS
@pytest.mark.parametrize("selective", [True, False])
def test_a_restored_agent_continues_exactly(tmp_path, kind, selective):
    config = dataclasses.replace(SMALL, selective_optimizer_steps=selective)
    agent = make_drq(kind, config=config)
    agent.update_high_utd(make_batch(8), 2)
    agent.sample_actions(observation())
    torch.save(agent.state_dict(), tmp_path / "agent.pt")
    restored = make_drq(kind, seed=9, config=config)
    restored.load_state_dict(torch.load(tmp_path / "agent.pt", weights_only=True))
    for seed in range(2):
        batch = make_batch(8, seed, packed=True)
        assert_same(agent.update_critics(batch), restored.update_critics(batch))
        assert_same(agent.update_high_utd(batch, 4), restored.update_high_utd(batch, 4))
    assert not moved(parameters(agent.state.modules), restored.state.modules)
    assert not moved(parameters(agent.state.targets), restored.state.targets)
    np.testing.assert_array_equal(agent.sample_actions(observation()), restored.sample_actions(observation()))


@KINDS
def test_high_utd_is_critic_steps_on_slices_of_one_augmented_batch_then_the_rest_on_the_whole(kind):
    one, other = make_drq(kind), make_drq(kind)
    batch, noise = make_batch(12), one.draw_noise(12, 3)
    crops = one.draw_crops(batch)
    one.update_high_utd(batch, 3, noise, crops)
    augmented = other.augment(batch, crops)
    for index in range(3):
        other.update(batch_rows(augmented, 4 * index, 4 * index + 4), {"critic"}, noise.minibatch(index))
    other.update(augmented, {"actor", "temperature"}, noise)
    assert_same(parameters(one.state.modules), parameters(other.state.modules), rtol=1e-4, atol=2e-6)


def test_the_actor_may_learn_from_the_last_slice_alone():
    config = dataclasses.replace(SMALL, actor_on_last_slice=True)
    one, other = make_drq(config=config), make_drq(config=config)
    batch, noise = make_batch(12), one.draw_noise(12, 3)
    crops = one.draw_crops(batch)
    one.update_high_utd(batch, 3, noise, crops)
    augmented = other.augment(batch, crops)
    for index in range(3):
        other.update(batch_rows(augmented, 4 * index, 4 * index + 4), {"critic"}, noise.minibatch(index))
    other.update(batch_rows(augmented, 8, 12), {"actor", "temperature"}, noise.rows(8, 12))
    assert_same(parameters(one.state.modules), parameters(other.state.modules))


def test_the_last_slice_may_train_every_network_at_once():
    """HIL-SERL's schedule: as many optimizer steps as slices, also where all optimizers step together."""
    config = dataclasses.replace(SMALL, joint_last_step=True, selective_optimizer_steps=False)
    one, other = make_drq(config=config), make_drq(config=config)
    batch, noise = make_batch(12), one.draw_noise(12, 3)
    crops = one.draw_crops(batch)
    one.update_high_utd(batch, 3, noise, crops)
    augmented = other.augment(batch, crops)
    for index in range(2):
        other.update(batch_rows(augmented, 4 * index, 4 * index + 4), {"critic"}, noise.minibatch(index))
    other.update(batch_rows(augmented, 8, 12), None, noise.joint(2, 8, 12))
    assert_same(parameters(one.state.modules), parameters(other.state.modules))
    assert {int(optimizer.count) for optimizer in one.state.optimizers.values()} == {3}


def test_update_critics_augments_and_steps_the_critics_alone():
    one, other = make_drq(), make_drq()
    batch, noise = make_batch(6), one.draw_noise(6)
    crops = one.draw_crops(batch)
    one.update_critics(batch, noise, crops)
    other.update(other.augment(batch, crops), {"critic"}, noise)
    assert not moved(parameters(one.state.modules), other.state.modules)
    assert int(one.state.optimizers["actor"].count) == 0


@pytest.mark.parametrize("rows", [1, 5])
def test_accumulated_passes_equal_one_pass(rows):
    whole = make_drq(config=dataclasses.replace(SMALL, microbatch_size=None))
    parts = make_drq(config=dataclasses.replace(SMALL, microbatch_size=rows))
    batch, noise = make_batch(8), whole.draw_noise(8)
    assert_same(whole.update(batch, noise=noise), parts.update(batch, noise=noise), rtol=1e-5, atol=1e-6)
    assert_same(parameters(whole.state.modules), parameters(parts.state.modules), rtol=1e-4, atol=5e-5)


def test_dropout_masks_keep_nine_tenths_and_act_on_the_policy():
    agent = make_drq()
    noise = agent.draw_noise(400)
    assert [mask.shape for mask in noise.actor_keep] == [(400, 12), (400, 12)]
    assert abs(torch.stack(noise.actor_keep).float().mean() - 0.9) < 0.02
    batch = make_batch(6)
    kept = agent.draw_noise(6)
    everything = tuple(torch.ones_like(mask) for mask in kept.actor_keep)
    nothing = tuple(torch.zeros_like(mask) for mask in kept.actor_keep)
    losses = [
        agent.losses["actor"](
            agent.state.modules, agent.state.targets, batch, dataclasses.replace(kept, actor_keep=keep), agent.config
        )[0].item()
        for keep in (everything, nothing)
    ]
    assert losses[0] != losses[1]


def test_actions_of_one_observation_and_of_a_batch_agree():
    agent = make_drq()
    many = observation((3,))
    actions = agent.sample_actions(many, argmax=True)
    assert actions.shape == (3, ACTION)
    for index in range(3):
        one = {key: value[index] for key, value in many.items()}
        np.testing.assert_allclose(agent.sample_actions(one, argmax=True), actions[index], rtol=1e-5, atol=1e-6)
    draws = agent.sample_actions(many), agent.sample_actions(many)
    assert not np.array_equal(*draws)


def test_an_actor_with_the_published_weights_acts_alike():
    config = DrqConfig(encoder=EncoderConfig(image_keys=CAMERAS, bottleneck_dim=8), hidden_dims=(16,))
    config = dataclasses.replace(config, critic_ensemble_size=2, critic_subsample_size=None)
    scene = {key: np.repeat(np.repeat(x, 2, 1), 2, 2) if x.ndim == 4 else x for key, x in observation().items()}
    agent = DrQAgent.create_drq(scene, ACTION, config, seed=1)
    policy = make_drq_policy(scene, ACTION, config, seed=2)
    assert not np.allclose(policy.sample_actions(scene, argmax=True), agent.sample_actions(scene, argmax=True))
    policy.load_policy_state_dict(agent.policy_state_dict())
    np.testing.assert_array_equal(policy.sample_actions(scene, argmax=True), agent.sample_actions(scene, argmax=True))


def test_the_critic_learns_to_tell_bright_images_from_dark_ones():
    agent = make_drq()
    batch = make_batch(32)
    bright = torch.arange(32) % 2 == 0
    for key in CAMERAS:
        level = torch.where(bright, 200, 30).to(torch.uint8)[:, None, None, None, None]
        batch["observations"][key] = level.expand(-1, 2, 20, 20, 3).contiguous()
    batch |= {"rewards": bright.float(), "masks": torch.zeros(32)}
    losses = [agent.update_critics(batch)["critic/critic_loss"].item() for _ in range(60)]
    assert losses[-1] < 0.05 < losses[0]


@pytest.mark.slow
@KINDS
def test_a_step_is_one_graph(kind):
    eager, traced = make_drq(kind), make_drq(kind)
    traced.compile(fullgraph=True, backend="aot_eager")
    batch, noise = make_batch(4), eager.draw_noise(4)
    assert_same(eager.update(batch, noise=noise), traced.update(batch, noise=noise), rtol=1e-4, atol=1e-5)


def test_bad_requests_are_refused():
    with pytest.raises(ConfigError, match="no encoder is named 'resnet-50'"):
        EncoderConfig("resnet-50")
    with pytest.raises(ConfigError, match="at least one camera"):
        EncoderConfig(image_keys=())
    agent = make_drq()
    with pytest.raises(DataError, match="does not divide into 4"):
        agent.update_high_utd(make_batch(6), 4)
    other = copy.deepcopy(agent.policy_state_dict())
    del other["mean_head.bias"]
    with pytest.raises(CheckpointError, match=r"mean_head\.bias"):
        agent.load_policy_state_dict(other)
