"""`EnvAdapterConfig`: the settings that adapt an environment to an agent."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class ImagesConfig:
    """The images that a pixel agent observes."""

    size: int | None = None
    """Height and width in pixels that images are scaled to; as the environment gives them by default."""
    frames: int | None = None
    """Newest images of each camera that the agent sees together; by default as many as --frame-stack. Fewer is
    cheaper, and the stacked state may tell all that there is about motion."""


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
