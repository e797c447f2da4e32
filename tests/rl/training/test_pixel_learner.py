"""Laws of the pixel learner as a run builds it: exact resume, kept features, what is published."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import get_args, get_type_hints

import gymnasium as gym
import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from rl.agents.continuous.agent_configs import AGENT_CONFIGS, default_agent_config
from rl.agents.continuous.drq import DrQAgent
from rl.agents.continuous.drq_config import DrqConfig
from rl.common.encoders import EncoderConfig, frozen_trunk
from rl.common.encoding import MAP
from rl.config import ReplayConfig, TrainConfig
from rl.data.demos import DemoWriter, record_demos
from rl.data.journal import TransitionJournal
from rl.data.transition import make_transition
from rl.errors import CheckpointError, ConfigError
from rl.link.messages import AgentSpec, build_space
from rl.link.messages import spec_of as space_spec
from rl.nn.flax_params import to_flax_params
from rl.training.agent_factory import KINDS, extra_fields
from rl.training.learner_parts import make_agent, make_memory
from rl.training.replay_loader import ReplayLoader
from rl.utils.run_directory import JOURNAL
from rl.utils.seeds import Seeds
from rl.wrappers.make_env import make_env
from tests.rl.training.test_exact_resume import assert_same, collect, trained

ENV = "tests.support.tiny_pixels:FollowLight-v0"
CAMERAS = ("front", "wrist")


def config(out: Path | None, steps: int, demos: Path | None = None, encoder: EncoderConfig | None = None, **drq):
    compact = EncoderConfig("compact", None, num_spatial_blocks=2, bottleneck_dim=8, proprio_latent_dim=4)
    return TrainConfig(
        env=ENV,
        out=out,
        steps=steps,
        frame_stack=2,
        batch_size=8,
        utd_ratio=2,
        env_steps_per_update=10,
        training_starts=40,
        compile=False,
        checkpoint_every=0,
        learner_threads=1,
        agent=DrqConfig(encoder=encoder or compact, critic_ensemble_size=3, hidden_dims=(16,), **drq),
        replay=ReplayConfig(capacity=80, n_step=3, demos=() if demos is None else (demos,)),
    )


def spec_of(settings: TrainConfig) -> AgentSpec:
    return AgentSpec.of(ENV, make_env(ENV, adaptation=settings.adaptation()))


@pytest.fixture(scope="module")
def trunk(tmp_path_factory: pytest.TempPathFactory) -> EncoderConfig:
    """A frozen encoder with a file of weights."""
    fields = {"image_keys": CAMERAS, "num_spatial_blocks": 2, "bottleneck_dim": 8, "proprio_latent_dim": 4}
    random = EncoderConfig("resnet-pretrained", **fields)
    sample = {key: np.zeros((1, 32, 32, 3), np.uint8) for key in CAMERAS} | {"state": np.zeros((1, 1), np.float32)}
    agent = DrQAgent.create_drq(sample, 1, DrqConfig(encoder=random), seed=5)
    path = tmp_path_factory.mktemp("weights") / "trunk.safetensors"
    save_file(to_flax_params(frozen_trunk(agent.encoder)), path)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    return replace(random, image_keys=None, pretrained_path=str(path), pretrained_sha256=sha256)


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(("cached", "shifts"), [("no", 1), ("float16", 1), ("float16", 3)])
def test_an_interruption_changes_nothing(tmp_path: Path, trunk: EncoderConfig, cached: str, shifts: int):
    kept = {} if cached == "no" else {"encoder": trunk, "cached_features": cached, "cached_shifts": shifts}
    env = make_env(ENV, adaptation=config(None, 1).adaptation())
    env.action_space.seed(1)
    demos = tmp_path / "demos.sqlite"
    record_demos(demos, env, lambda observation: env.action_space.sample(), 3, seed=1, attempts_per_episode=50)
    whole, torn = tmp_path / "whole", tmp_path / "torn"
    for out in (whole, torn):
        collect(env, out, 100)
    spec = AgentSpec.of(ENV, env)
    straight = trained(config(whole, 100, demos, **kept), spec)
    first_half = config(torn, 70, demos, **kept)
    assert trained(first_half, spec)["updates"] == 3
    resumed = trained(replace(first_half, steps=100), spec)
    assert straight["updates"] == resumed["updates"] == 6
    # Kept features are computed anew from the images, and where an array lies in memory may change their last bit.
    assert_same(straight, resumed, "state", tolerance=0.0 if cached == "no" else 1e-3)


@pytest.mark.parametrize("length", [1, 3, 8])
def test_l17_no_demonstration_is_dropped_however_short_the_episodes_are(tmp_path: Path, length: int):
    settings = config(None, 1, tmp_path / "demos.sqlite")
    spec, rng = spec_of(settings), np.random.default_rng(0)
    spaces = build_space(spec.observation), build_space(spec.action)
    with DemoWriter(tmp_path / "demos.sqlite", *spaces) as writer:
        for _ in range(40):
            seen = observed(spaces[0], length + 1, rng)
            writer.write_episode(
                [
                    make_transition(seen[step], np.zeros(1), seen[step + 1], 0.0, step == length - 1, False, {})
                    for step in range(length)
                ],
                success=True,
            )
    memory = make_memory(settings, spec, make_agent(settings, spec, Seeds(0)), Seeds(0))
    assert memory.demos is not None
    assert len(memory.demos) == 40 * length


def observed(space: gym.Space, count: int, rng: np.random.Generator) -> list[dict[str, np.ndarray]]:
    """The observations of an episode, stacked as actors do it, whose images have never been seen before."""
    frames = {key: rng.integers(0, 200, (count, *part.shape[1:])).astype(part.dtype) for key, part in space.items()}
    stack = np.arange(1 - space["front"].shape[0], 1)
    return [{key: part[np.maximum(stack + step, 0)] for key, part in frames.items()} for step in range(count)]


def filled_buffer(settings: TrainConfig, out: Path):
    """The agent and its buffer with the transitions of a journal."""
    spec = spec_of(settings)
    agent = KINDS["drq"].make_agent(settings, spec, 1, "cpu")
    buffer = KINDS["drq"].make_buffer(settings, spec, agent, 150, 2)
    with TransitionJournal(out / JOURNAL, read_only=True) as journal:
        ReplayLoader(journal, buffer, 3, 0.9).poll()
    return agent, buffer


def as_tensors(tree):
    return {key: as_tensors(x) if isinstance(x, dict) else torch.from_numpy(x.copy()) for key, x in tree.items()}


@pytest.mark.parametrize(("cached", "tolerance"), [("float32", 1e-5), ("float16", 2e-3)])
def test_kept_features_are_those_of_the_images_that_they_replace(tmp_path: Path, trunk, cached, tolerance):
    collect(make_env(ENV, adaptation=config(None, 1).adaptation()), tmp_path / "run", 30)
    agent, images = filled_buffer(config(None, 1, encoder=trunk, crop_padding=0), tmp_path / "run")
    _, features = filled_buffer(config(None, 1, encoder=trunk, cached_features=cached), tmp_path / "run")
    seen, kept = (as_tensors(buffer.sample(12, indices=np.arange(12))) for buffer in (images, features))
    assert set(kept["observations"]) == {"state", *(key + MAP for key in CAMERAS)}
    expected, given = agent._prepared(seen, None), agent._prepared(kept, None)
    for when in ("observations", "next_observations"):
        assert expected[when].keys() == given[when].keys()
        for name, value in expected[when].items():
            torch.testing.assert_close(given[when][name], value, rtol=tolerance, atol=tolerance)


def test_the_trunk_runs_once_for_each_frame(tmp_path: Path, trunk, monkeypatch: pytest.MonkeyPatch):
    collect(make_env(ENV, adaptation=config(None, 1).adaptation()), tmp_path / "run", 30)
    frames = []
    maps = DrQAgent.frozen_maps
    monkeypatch.setattr(
        DrQAgent, "frozen_maps", lambda self, seen: (frames.append(len(seen["front"])), maps(self, seen))[1]
    )
    _, buffer = filled_buffer(config(None, 1, encoder=trunk, cached_features="float16"), tmp_path / "run")
    assert sum(frames) - 1 == buffer.frames_written  # one more to learn the maps' shape


def test_a_trunk_from_a_file_is_not_published_and_the_actor_reads_it(trunk: EncoderConfig):
    settings = config(None, 1, encoder=trunk, average_policy=True)
    spec = spec_of(settings)
    agent = KINDS["drq"].make_agent(settings, spec, 1, "cpu")
    published = agent.policy_state_dict()
    assert not [name for name in published if "pretrained_encoder" in name]
    policy = KINDS["drq"].make_policy(settings, spec, 2)
    policy.load_policy_state_dict(published)
    observation = make_env(ENV, adaptation=settings.adaptation()).reset(seed=4)[0]
    np.testing.assert_array_equal(
        policy.sample_actions(observation, argmax=True), agent.sample_actions(observation, argmax=True)
    )


def test_an_actor_with_another_file_is_refused(trunk: EncoderConfig):
    other = replace(trunk, pretrained_sha256="0" * 64)
    settings = config(None, 1, encoder=other)
    with pytest.raises(CheckpointError, match="download it again"):
        KINDS["drq"].make_policy(settings, spec_of(settings), 2)


def test_every_agent_that_can_be_asked_for_can_be_made():
    assert set(get_args(get_type_hints(TrainConfig)["agent"])) == set(AGENT_CONFIGS.values())
    assert AGENT_CONFIGS.keys() == KINDS.keys()


@pytest.mark.parametrize(("kind", "numbers"), [("drq", 2), ("vice", 2), ("hybrid-single", 2), ("hybrid-dual", 4)])
def test_every_pixel_agent_learns_from_its_buffer_and_moves_its_actor(kind: str, numbers: int):
    small = EncoderConfig("compact", None, num_spatial_blocks=2, bottleneck_dim=8)
    plain = config(None, 1)
    own = replace(default_agent_config(kind), encoder=small, hidden_dims=(16,))
    settings = replace(plain, agent=own, replay=replace(plain.replay, n_step=1))
    action = gym.spaces.Box(-1.0, 1.0, (numbers,), np.float32)
    spec = spec_of(settings).model_copy(update={"action": space_spec(action)})
    agent = KINDS[kind].make_agent(settings, spec, 1, "cpu")
    buffer = KINDS[kind].make_buffer(settings, spec, agent, 20, 2)
    observations = build_space(spec.observation)
    observations.seed(3)
    for _ in range(8):
        sent = {name: np.float32(1.0) for name in ("rewards", "masks", "dones", *extra_fields(buffer))}
        now, then = observations.sample(), observations.sample()
        # Grippers close, open or stay: the last number of each arm's part.
        moved = np.array([0.3, 1.0] * (numbers // 2), np.float32)
        buffer.insert({"observations": now, "next_observations": then, "actions": moved, **sent})
    metrics = agent.update_high_utd(as_tensors(buffer.sample(8)), 2)
    assert all(torch.isfinite(value).all() for value in metrics.values())
    policy = KINDS[kind].make_policy(settings, spec, 4)
    policy.load_policy_state_dict(agent.policy_state_dict())
    seen = observations.sample()
    np.testing.assert_array_equal(policy.sample_actions(seen, argmax=True), agent.sample_actions(seen, argmax=True))


@pytest.mark.parametrize(
    ("settings", "answer"),
    [
        (lambda: config(None, 1, encoder=EncoderConfig("resnet-pretrained", None)), "needs its weights"),
        (lambda: config(None, 1, cached_features="float16"), "needs the encoder resnet-pretrained"),
    ],
)
def test_what_cannot_be_trained_is_explained(settings, answer):
    def make():
        made = settings()
        return KINDS["drq"].make_agent(made, spec_of(made), 1, "cpu")

    with pytest.raises(ConfigError, match=answer):
        make()


def test_more_images_than_fit_into_memory_are_refused_in_a_sentence():
    settings = config(None, 1)
    spec = spec_of(settings)
    agent = KINDS["drq"].make_agent(settings, spec, 0, "cpu")
    with pytest.raises(ConfigError, match=r"1,000,000,000,000 transitions.*smaller capacity"):
        KINDS["drq"].make_buffer(settings, spec, agent, 10**12, 2)
