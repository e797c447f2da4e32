"""The options of the commands that record demonstrations and labelled frames."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from rl.errors import ConfigError
from rl.wrappers.adapter_config import ClassifierRewardConfig, EnvAdapterConfig, ImagesConfig


@dataclass(frozen=True)
class RecordDemosOptions:
    """Record successful episodes of a person or of a script.

    Raises:
        ConfigError: a number is out of range, or nobody would act.
    """

    env: str
    """Gymnasium id; `module:Id-v0` imports the module first."""
    out: Path
    """Demonstration file to write; a picture of it, under its name with .png, comes beside it."""
    cell: str | None = None
    """Workcell: a name, a .toml file or the URL of a robot server."""
    human: str | None = None
    """Device or script that acts: spacemouse, gamepad, keyboard, or expert (the environment's own script)."""
    expert: str | None = None
    """A script that acts instead: `module:factory`, called with the environment, makes an object with
    `reset(observation)` and `act(observation)`."""
    resume: bool = False
    """Go on with a recording that was broken off."""
    episodes: int = 20
    """Successful episodes to keep."""
    attempts: int = 5
    """Give up after so many attempts for each of them."""
    seed: int = 0
    """The attempts' seeds are drawn from it."""
    frame_stack: int = 1
    """Newest observations that the agent will see together, as in training."""
    sees_images: bool = False
    """Record images and state apart, for `--agent drq`."""
    cameras: tuple[str, ...] | None = None
    """Cameras to record; all by default."""
    images: ImagesConfig = field(default_factory=ImagesConfig)
    """How images are handed over, as in training."""
    reward_classifier: Path | None = None
    """Directory of the classifier whose prediction is the only reward, as in training; it also says what succeeded."""
    classifier: ClassifierRewardConfig = field(default_factory=ClassifierRewardConfig)
    """When it pays, as in training."""

    def __post_init__(self) -> None:
        """Refuse what cannot be recorded."""
        if self.episodes < 1 or self.attempts < 1:
            raise ConfigError("--episodes and --attempts must be at least 1")
        if (self.human is None) == (self.expert is None):
            raise ConfigError("say who acts, once: --human expert, --human spacemouse or --expert module:factory")

    def adaptation(self) -> EnvAdapterConfig:
        """The adaptation of the environment to the agent."""
        classifier = None if self.reward_classifier is None else str(self.reward_classifier)
        return EnvAdapterConfig(
            1, self.frame_stack, self.sees_images, self.cameras, self.images, classifier, self.classifier
        )


@dataclass(frozen=True)
class RecordSuccessOptions:
    """Step an environment and store labelled frames, episode by episode.

    Raises:
        ConfigError: a number is out of range.
    """

    env: str
    """Gymnasium id; `module:Id-v0` imports the module first."""
    out: Path
    """Directory of `positives.sqlite` and `negatives.sqlite`, to which episodes are added, and of `frames.png`, which
    shows frames of both."""
    resume: bool = False
    """Go on with a recording that was broken off: --positives and --episodes count what is there too."""
    cell: str | None = None
    """Workcell, for environments that take one."""
    human: str | None = None
    """Device or script that takes over while --expert acts: spacemouse, gamepad, keyboard, or expert (the environment's
    own script); only for environments that know such a person."""
    wrappers: tuple[str, ...] = ()
    """Wrappers as `module:factory`, each called with the environment, the innermost first."""
    expert: str = "zero"
    """`zero`, or `module:factory`, called with the environment: makes an object with `reset(observation)` and
    `act(observation)`, such as `envs.experts.tracker:pick_cube`."""
    noise: float = 0.0
    """Standard deviation of what is added to the expert's actions, for attempts that fail."""
    label: Literal["env", "key"] = "env"
    """`env` takes `info["success"]`; `key` marks every step during which a person holds --key."""
    key: str = " "
    """The key of --label key; the space bar by default."""
    positives: int = 200
    """Positive frames after which the recording ends."""
    episodes: int | None = None
    """Episodes after which it ends in any case."""
    image_keys: tuple[str, ...] | None = None
    """Cameras to store; all by default."""
    image_size: int | None = None
    """Height and width in pixels that images are scaled to; as the environment gives them by default."""
    seed: int = 0
    """Seed of resets and noise. Every episode of a directory draws from a stream of its own number, so that another
    recording brings other episodes, and one that was broken off those that were still to come."""

    def __post_init__(self) -> None:
        """Refuse what cannot be recorded."""
        if self.positives < 1 or (self.episodes is not None and self.episodes < 1) or self.noise < 0:
            raise ConfigError("--positives and --episodes must be at least 1, and --noise at least 0")
