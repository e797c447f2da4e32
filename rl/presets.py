"""Named settings to start from."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import replace
from operator import attrgetter

from rl.agents.continuous.drq_config import DrqConfig
from rl.agents.continuous.sac_config import SacConfig
from rl.agents.continuous.sac_hybrid_config import DualArmConfig, SingleArmConfig
from rl.agents.continuous.vice_config import ViceConfig
from rl.common.encoder_config import EncoderConfig
from rl.common.optimizer_config import OptimizerConfig
from rl.config import EvaluationConfig, ReplayConfig, TrainConfig, light_config
from rl.errors import ConfigError
from rl.link.link_config import LinkConfig
from rl.wrappers.adapter_config import ONE_FRAME, ImagesConfig

_FROZEN = EncoderConfig("resnet-pretrained", image_keys=None)


def default(agent: str = "sac") -> TrainConfig:
    """Light settings for an environment of your own, sized to what --agent observes: two critics, an update a step."""
    config = light_config(agent)
    sees_images = config.pixel_settings() is not None
    return replace(config, max_lead=64, steps=50_000 if sees_images else 100_000, compile=not sees_images)


def serl() -> TrainConfig:
    """SERL's `async_sac_state_sim` as its run scripts start it; learner and actor do not wait for each other."""
    return TrainConfig(
        preset="serl",
        classifier=ONE_FRAME,
        batch_size=256,
        utd_ratio=8,
        random_steps=1000,
        training_starts=1000,
        publish_every=1,
        log_every=10,
        agent=SacConfig().as_in_serl(),
        replay=ReplayConfig(capacity=1_000_000),
        evaluation=EvaluationConfig(every_steps=2000, episodes=5),
    )


def demo() -> TrainConfig:
    """Learns to lift the cube in minutes: half of every batch from demonstrations, ten-step returns.

    RLPD, Ball et al. 2023 (arXiv:2302.02948). Ten steps carry the reward of a lift back to the approach; three
    frames show where the arm is being pulled, which one frame hides; decaying rates and an averaged policy steady it.
    """
    return TrainConfig(
        preset="demo",
        frame_stack=3,
        steps=30_000,
        utd_ratio=2,
        env_steps_per_update=2,
        max_lead=32,
        random_steps=500,
        training_starts=500,
        publish_every=5,
        log_every=100,
        checkpoint_every=2500,
        agent=SacConfig(
            critic_ensemble_size=2,
            critic_subsample_size=None,
            discount=0.97,
            activations="relu",
            target_entropy=-8.0,
            average_policy=True,
            actor_optimizer=OptimizerConfig(5e-4, cosine_decay_steps="run"),
            critic_optimizer=OptimizerConfig(5e-4, cosine_decay_steps="run"),
        ),
        replay=ReplayConfig(n_step=10),
        evaluation=EvaluationConfig(every_steps=2000, episodes=20),
    )


def drq() -> TrainConfig:
    """SERL's `async_drq_sim`: two cameras at full size, half of every batch from demonstrations; give --replay.demos.

    The original's frozen ResNet-10 needs a file of weights: --agent.encoder.encoder-type resnet-pretrained and
    --agent.encoder.pretrained-path. Without one the small encoder learns from nothing.
    """
    return TrainConfig(
        preset="drq",
        classifier=ONE_FRAME,
        env="envs:PandaPickCubeVision-v0",
        batch_size=256,
        utd_ratio=4,
        random_steps=1000,
        training_starts=1000,
        publish_every=30,
        log_every=10,
        agent=DrqConfig(encoder=EncoderConfig(image_keys=None), actor_on_last_slice=True).as_in_serl(),
        replay=ReplayConfig(capacity=200_000),
        evaluation=EvaluationConfig(every_steps=2000, episodes=5),
        link=LinkConfig(capacity=2000),
    )


def drq_demo() -> TrainConfig:
    """Learns to lift the cube from images of 64 x 64 pixels on two CPU cores; the counterpart of `demo`."""
    return TrainConfig(
        preset="drq-demo",
        env="envs:PandaPickCubeVision-v0",
        frame_stack=3,
        images=ImagesConfig(size=64, frames=1),
        steps=16_000,
        batch_size=128,
        utd_ratio=2,
        env_steps_per_update=2,
        max_lead=32,
        random_steps=300,
        training_starts=300,
        publish_every=5,
        log_every=50,
        checkpoint_every=1000,
        compile=False,
        agent=DrqConfig(
            encoder=EncoderConfig("compact", image_keys=None, bottleneck_dim=64),
            crop_padding=2,
            critic_ensemble_size=2,
            critic_subsample_size=None,
            discount=0.97,
            activations="relu",
            target_entropy=-8.0,
            average_policy=True,
            actor_optimizer=OptimizerConfig(5e-4, cosine_decay_steps="run"),
            critic_optimizer=OptimizerConfig(5e-4, cosine_decay_steps="run"),
        ),
        replay=ReplayConfig(capacity=50_000, n_step=10),
        evaluation=EvaluationConfig(every_steps=2000, episodes=10),
        link=LinkConfig(capacity=2000),
    )


def drq_classifier() -> TrainConfig:
    """`drq-demo` with a reward classifier's prediction as only reward; give --reward-classifier and --replay.demos.

    A success that two frames in a row show ends the episode, and ten steps before it cost 1, for the reason given in
    `hil`.
    """
    base = drq_demo()
    agent = replace(base.agent, reward_bias=-0.1)
    return replace(base, preset="drq-classifier", steps=10_000, batch_size=64, agent=agent)


def vice() -> TrainConfig:
    """`drq` without a reward: a classifier that is trained along learns it from --goals; give --replay.demos too.

    Its classifier looks through a ResNet-10, whatever the encoder: --agent.encoder.pretrained-path gives it weights.
    """
    settings = ViceConfig(encoder=EncoderConfig(image_keys=None), actor_on_last_slice=True)
    return replace(drq(), preset="vice", agent=settings.as_in_serl())


def hil() -> TrainConfig:
    """Sparse rewards with a person who takes over, as in HIL-SERL; give --env, --human, --replay.demos.

    Luo et al. 2024 (arXiv:2410.21845): what the person does joins the demonstrations, which are half of every batch.
    Each step costs 1 until success ends the episode: with a reward for success alone, one wasted step would change the
    return by a few percent of a number that is small already.
    """
    return TrainConfig(
        preset="hil",
        env="envs:PandaPegInsertion-v0",
        steps=10_000,
        utd_ratio=4,
        env_steps_per_update=1,
        max_lead=16,
        random_steps=0,
        training_starts=200,
        publish_every=5,
        checkpoint_every=1000,
        agent=SacConfig(
            critic_ensemble_size=2,
            critic_subsample_size=None,
            discount=0.95,
            reward_bias=-1.0,
            activations="relu",
            average_policy=True,
            standardises_inputs=True,
        ),
        replay=ReplayConfig(n_step=3, interventions=50_000),
        evaluation=EvaluationConfig(every_steps=1000, episodes=20),
    )


def hil_serl() -> TrainConfig:
    """HIL-SERL's own settings for a gripper that stays as it is; give --human, --replay.demos and the ResNet-10.

    From `examples/experiments/config.py`, `examples/train_rlpd.py` and the agents and `utils/launcher.py` of
    `serl_launcher` in rail-berkeley/hil-serl. Learner and actor do not wait for each other. The encoder's weights are
    given with --agent.encoder.pretrained-path. Its experiments set the discount themselves: 0.97, 0.98 or 0.985.
    """
    settings = DrqConfig(
        encoder=_FROZEN, critic_ensemble_size=2, critic_subsample_size=None, discount=0.97, joint_last_step=True
    )
    return TrainConfig(
        preset="hil-serl",
        classifier=ONE_FRAME,
        env="envs:FrankaRAMInsertRelative-Vision-v0",
        steps=1_000_000,
        batch_size=256,
        utd_ratio=2,
        random_steps=0,
        training_starts=100,
        publish_every=50,
        log_every=10,
        checkpoint_every=5000,
        keep_checkpoints=100,
        agent=settings.as_in_serl(),
        replay=ReplayConfig(capacity=200_000, interventions=200_000),
        evaluation=EvaluationConfig(every_steps=0),
        link=LinkConfig(capacity=50_000),
    )


def hil_serl_single() -> TrainConfig:
    """`hil-serl` for one arm that learns to use its gripper; give --human, --replay.demos and the ResNet-10.

    The grasp critic is that of `agents/continuous/sac_hybrid_single.py`.
    """
    settings = SingleArmConfig(encoder=_FROZEN, discount=0.97).as_in_serl()
    env = "envs:FrankaUSBPickRelative-Vision-v0"
    return replace(hil_serl(), preset="hil-serl-single", env=env, agent=settings)


def hil_serl_dual() -> TrainConfig:
    """`hil-serl` for two arms that learn to use their grippers; give --human, --replay.demos and the ResNet-10.

    The grasp critic is that of `agents/continuous/sac_hybrid_dual.py`.
    """
    settings = DualArmConfig(encoder=_FROZEN, discount=0.97).as_in_serl()
    env = "envs:DualFrankaPegInsertRelative-Vision-v0"
    return replace(hil_serl(), preset="hil-serl-dual", env=env, agent=settings)


PRESETS: Mapping[str, Callable[[], TrainConfig]] = {
    "default": default,
    "serl": serl,
    "demo": demo,
    "drq": drq,
    "drq-demo": drq_demo,
    "drq-classifier": drq_classifier,
    "vice": vice,
    "hil": hil,
    "hil-serl": hil_serl,
    "hil-serl-single": hil_serl_single,
    "hil-serl-dual": hil_serl_dual,
}
_RENAMED = {"drq-judged": "drq-classifier"}


_EXPECTED: Mapping[str, tuple[str, ...]] = {
    "demo": ("replay.demos",),
    "drq": ("replay.demos",),
    "drq-demo": ("replay.demos",),
    "drq-classifier": ("reward_classifier", "replay.demos"),
    "vice": ("replay.demos",),
    **dict.fromkeys(("hil", "hil-serl", "hil-serl-single", "hil-serl-dual"), ("human", "replay.demos")),
}
"""Options that presets are to be given beside their own values."""


def find_missing_options(config: TrainConfig) -> list[str]:
    """The options, by their fields, that the preset of a configuration expects and that are not given."""
    return [name for name in _EXPECTED.get(config.preset, ()) if not attrgetter(name)(config)]


def make_preset(name: str) -> TrainConfig:
    """The settings of this name.

    Raises:
        ConfigError: there are none.
    """
    if name not in PRESETS:
        close = [_RENAMED[name]] if name in _RENAMED else difflib.get_close_matches(name, PRESETS, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise ConfigError(f"no preset is named {name!r}.{hint} Known: {', '.join(PRESETS)}")
    return PRESETS[name]()
