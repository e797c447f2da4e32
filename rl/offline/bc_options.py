"""The options of a behaviour cloning."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ConfigDict

from rl.agents.continuous.bc_config import BcConfig
from rl.common.encoder_config import EncoderConfig
from rl.errors import ConfigError
from rl.offline.settings import SettingsFile
from rl.utils.run_directory import BC_SETTINGS
from rl.wrappers.adapter_config import ClassifierRewardConfig, EnvAdapterConfig, ImagesConfig

ALL_CAMERAS = BcConfig(encoder=EncoderConfig(image_keys=None), standardises=True)
"""The default settings of a clone: it sees every camera, and standardises vectors."""


@dataclass(frozen=True)
class TrainBcOptions:
    """Clone demonstrations: a policy that does what they did.

    Raises:
        ConfigError: a value is out of range.
    """

    demos: tuple[Path, ...]
    """Files of demonstrations."""
    out: Path
    """Directory of the run."""
    env: str = "envs:PandaPickCube-v0"
    """Gymnasium id of the environment that they were recorded in."""
    cell: str | None = None
    """Workcell, for environments that take one."""
    action_repeat: int = 1
    """Environment steps that one action lasts, as in the demonstrations."""
    frame_stack: int = 1
    """Newest observations that the policy sees together, as in the demonstrations."""
    sees_images: bool = False
    """Whether the policy sees images and state apart, instead of one vector."""
    images: ImagesConfig = field(default_factory=ImagesConfig)
    reward_classifier: Path | None = None
    """Directory of a reward classifier whose prediction is the only reward where the policy is evaluated."""
    classifier: ClassifierRewardConfig = field(default_factory=ClassifierRewardConfig)
    resume: bool = False
    """Continue the run in --out."""
    epochs: int = 200
    """Passes over the demonstrations."""
    batch_size: int = 256
    """Transitions of a step, over all processes together."""
    held_out: float = 0.1
    """Share of the episodes that are only evaluated; 0 trains on all."""
    seed: int = 0
    """Seed of every random draw."""
    checkpoint_every: int = 20
    """Epochs between two checkpoints."""
    workers: int = 0
    """Processes that fetch batches; worth it for images."""
    device: str = "cpu"
    """Where it computes: cpu, cuda, cuda:1 …; under torchrun, cuda is a GPU for each process."""
    threads: int = 2
    """Threads of the arithmetic of a process."""
    bc: BcConfig = ALL_CAMERAS

    __pydantic_config__ = ConfigDict(extra="forbid")

    def __post_init__(self) -> None:
        """Refuse what cannot train."""
        if not self.demos:
            raise ConfigError("--demos is empty: name one file of demonstrations or more")
        if not 0.0 <= self.held_out < 1.0:
            raise ConfigError(f"--held-out must lie in [0, 1), not {self.held_out}")

    def adaptation(self) -> EnvAdapterConfig:
        """The adaptation of the environment to the policy."""
        classifier = None if self.reward_classifier is None else str(self.reward_classifier)
        if not self.sees_images:
            return EnvAdapterConfig(
                self.action_repeat, self.frame_stack, reward_classifier=classifier, classifier=self.classifier
            )
        cameras = self.bc.encoder.image_keys
        return EnvAdapterConfig(
            self.action_repeat, self.frame_stack, True, cameras, self.images, classifier, self.classifier
        )

    def directory(self) -> Path:
        """The run's directory."""
        return self.out


SETTINGS = SettingsFile(TrainBcOptions, BC_SETTINGS, {"classifier": {"positive_frames": 1}})
