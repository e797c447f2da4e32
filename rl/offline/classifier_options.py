"""The options of a training of a reward classifier."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from rl.common.encoder_config import EncoderConfig
from rl.errors import ConfigError
from rl.offline.settings import SettingsFile
from rl.utils.precision import Precision
from rl.utils.run_directory import CLASSIFIER_SETTINGS, POSITIVES


@dataclass(frozen=True)
class TrainClassifierOptions:
    """Train a reward classifier on frames that show success and frames that do not, or on frames of several classes.

    Raises:
        ConfigError: a value is out of range.
    """

    positives: tuple[Path, ...] = ()
    """Files of frames that show success, from `record success`."""
    negatives: tuple[Path, ...] = ()
    """Files of frames that do not."""
    out: Path = field(kw_only=True)
    """Directory of the run, and of the classifier."""
    classes: tuple[Path, ...] = ()
    """Instead of the two: for each of three or more classes a file of frames, or a folder of `record success`, whose
    positives show it; the class is called as the file or the folder."""
    image_keys: tuple[str, ...] | None = None
    """Cameras that it looks at; all that were recorded by default."""
    resume: bool = False
    """Continue the run in --out."""
    epochs: int = 150
    """Passes: each shows every frame of the rarer class once, and as many of the other."""
    batch_size: int = 256
    """Frames of a step, over all processes together; one half shows success."""
    learning_rate: float = 1e-4
    """Learning rate of Adam."""
    crop_padding: int = 4
    """Largest random shift of an image in pixels; 0 trains on the images as they are."""
    cached_shifts: int = 0
    """Feature maps of each frame that a frozen encoder computes once, for all epochs: the first of the image as it is,
    each other one of the image shifted once at random; a step takes one of them. 0 shifts images anew in every step."""
    held_out: float = 0.3
    """Share of the episodes that are not trained on: one half of them chooses the threshold, the other tests."""
    most_false_positives: float = 0.01
    """The threshold is the lowest one, from 0.5 on, at which this share of the negatives passes for success."""
    precision: Precision = "float32"
    """Matrix products of the loss."""
    seed: int = 0
    """Seed of every random draw, and of the split."""
    checkpoint_every: int = 20
    """Epochs between two checkpoints."""
    workers: int = 0
    """Processes that fetch batches."""
    device: str = "cpu"
    """Where it computes: cpu, cuda, cuda:1 …; under torchrun, cuda is a GPU for each process."""
    threads: int = 2
    """Threads of the arithmetic of a process."""
    encoder: EncoderConfig = field(default_factory=lambda: EncoderConfig(image_keys=None, use_proprio=False))
    """`resnet-pretrained` is HIL-SERL's, frozen, and needs --encoder.pretrained-path; `efficientnet-lite0` is frozen
    too, with the weights of the extra `pretrained`; the others train from scratch."""

    def class_files(self) -> dict[str, tuple[Path, ...]]:
        """The files of frames by the name of their class, in the order of the labels.

        Raises:
            ConfigError: they name no classes that could be told apart.
        """
        if not self.classes:
            if not self.positives or not self.negatives:
                raise ConfigError(
                    "frames of two classes are needed, or of more: give --positives and --negatives, or --classes with "
                    "a file for each"
                )
            return {"negative": self.negatives, "positive": self.positives}
        if self.positives or self.negatives:
            raise ConfigError("--classes stands instead of --positives and --negatives: give one or the other")
        names = [path.name.removesuffix(".sqlite") for path in self.classes]
        if len(names) < 3 or len(set(names)) < len(names):
            raise ConfigError(
                f"--classes takes three files or more, of different names, not {', '.join(names)}; frames of two "
                "classes are --positives and --negatives"
            )
        files = [path / POSITIVES if path.is_dir() else path for path in self.classes]
        return {name: (file,) for name, file in zip(names, files, strict=True)}

    def __post_init__(self) -> None:
        """Refuse what cannot train."""
        if not 0.0 < self.held_out < 1.0:
            raise ConfigError(f"--held-out must lie inside (0, 1), not {self.held_out}")
        if not 0.0 <= self.most_false_positives < 1.0:
            raise ConfigError(f"--most-false-positives must lie in [0, 1), not {self.most_false_positives}")
        if self.cached_shifts < 0:
            raise ConfigError(f"--cached-shifts must be 0 or more, not {self.cached_shifts}")
        if self.cached_shifts and not self.encoder.is_frozen:
            raise ConfigError(
                f"--cached-shifts keeps features that never change, and those of {self.encoder.encoder_type} are "
                f"trained: choose --encoder.encoder-type efficientnet-lite0, or leave it out"
            )
        if self.cached_shifts > 1 and not self.crop_padding:
            raise ConfigError("--cached-shifts of 2 or more needs a --crop-padding above 0: it is the largest shift")
        self.encoder.require_weights("encoder")


SETTINGS = SettingsFile(TrainClassifierOptions, CLASSIFIER_SETTINGS)
