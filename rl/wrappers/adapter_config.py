"""`EnvAdapterConfig`: the settings that adapt an environment to an agent."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from rl.errors import ConfigError
from rl.utils.option_words import option


@dataclass(frozen=True)
class ImagesConfig:
    """The images that a pixel agent observes."""

    size: int | None = None
    """Height and width in pixels that images are scaled to; as the environment gives them by default."""
    frames: int | None = None
    """Newest images of each camera that the agent sees together; by default as many as --frame-stack. Fewer is
    cheaper, and the stacked state may tell all that there is about motion."""


@dataclass(frozen=True)
class ClassifierRewardConfig:
    """When a reward classifier pays.

    Raises:
        ConfigError: a number is out of range.
    """

    positive_frames: int = 2
    """Frames in a row that must pass for success before it pays and ends the episode; 1 is the rule of SERL and
    HIL-SERL, with which a single wrong frame is a success."""
    hold_s: float = 0.0
    """Seconds of control that the frames in a row must last, for tasks that are done when something stays where it
    is."""
    allow_chance: bool = False
    """Take a classifier whose held-out figures are no better than chance."""

    def __post_init__(self) -> None:
        """Refuse what no frames could fulfil."""
        if self.positive_frames < 1:
            raise ConfigError(f"{option('classifier.positive_frames')} must be at least 1, not {self.positive_frames}")
        if not 0.0 <= self.hold_s < math.inf:
            raise ConfigError(f"{option('classifier.hold_s')} is a number of seconds from 0 on, not {self.hold_s}")

    def frames_needed(self, steps_hz: float | None) -> int:
        """Frames in a row that pay: as many as `positive_frames`, and the last `hold_s` or more after the first.

        Args:
            steps_hz: control steps per second; None where the environment does not tell.

        Raises:
            ConfigError: a time was asked for and the environment does not tell its rate.
        """
        if not self.hold_s:
            return self.positive_frames
        if not steps_hz:
            raise ConfigError(
                f"{option('classifier.hold_s')} is a time, and the environment does not tell how many steps it takes a "
                f"second (metadata['render_fps']): give {option('classifier.positive_frames')}"
            )
        return max(self.positive_frames, math.ceil(self.hold_s * steps_hz - 1e-6) + 1)


ONE_FRAME = ClassifierRewardConfig(positive_frames=1)
"""The rule of SERL and HIL-SERL, and of every run before 0.2: the first frame that passes is the success."""


@dataclass(frozen=True)
class EnvAdapterConfig:
    """The settings that adapt an environment to an agent."""

    action_repeat: int = 1
    """Environment steps that one action lasts."""
    frame_stack: int = 1
    """Newest observations that are handed over together, oldest first; the first one of an episode is repeated."""
    sees_images: bool = False
    """Whether the agent gets images and state apart, as `wrap_pixels` gives them, instead of one vector."""
    cameras: tuple[str, ...] | None = None
    """Cameras that it sees; all by default."""
    images: ImagesConfig = field(default_factory=ImagesConfig)
    """How their images are handed over."""
    reward_classifier: str | None = None
    """Directory of the classifier whose prediction is the only reward; the environment's own reward by default."""
    classifier: ClassifierRewardConfig = field(default_factory=ClassifierRewardConfig)
    """When it pays."""
