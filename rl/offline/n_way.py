"""The end of a training of an n-way classifier: it is evaluated, and written with its pictures."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from rich.console import Console

from rl.common.encoder_config import EncoderConfig
from rl.networks.reward_function import ClassifierFacts, save_reward_classifier
from rl.offline.calibration import calibration_figures, fit_temperature
from rl.offline.classifier_learner import ClassifierLearner, likeliest
from rl.offline.classifier_options import TrainClassifierOptions
from rl.offline.confusion_counts import class_rates
from rl.offline.frame_sets import FrameSplit
from rl.plots.pictures import draw_confusion, draw_curves, draw_montage
from rl.utils.run_directory import CONFUSION, CURVE, METRICS, WORST

_SHOWN = 24  # frames of the picture of the worst errors
_CHUNK = 512  # frames that are classified at once


def conclude_n_way(
    options: TrainClassifierOptions,
    encoder: EncoderConfig,
    shape: tuple[int, int, int],
    learner: ClassifierLearner,
    split: FrameSplit,
    console: Console,
) -> ClassifierFacts:
    """Evaluate on the part that tests, and write the classifier, its facts and pictures."""
    names, test = tuple(options.class_files()), split.test
    temperature = fit_temperature(learner.logits(split.tune, _CHUNK), split.tune.labels)
    raw, truth = learner.logits(test, _CHUNK), test.labels.astype(int)
    logits = raw / temperature
    shares, predicted = logits.double().softmax(-1).numpy(), likeliest(logits).numpy()
    confusion = np.zeros((len(names), len(names)), int)
    np.add.at(confusion, (truth, predicted), 1)
    parts = {"train": split.train, "tune": split.tune, "test": test}
    facts = save_reward_classifier(
        options.out,
        learner.network,
        {
            # The weight file holds the trunk, so whoever loads it needs no other file.
            "encoder": replace(encoder, pretrained_path=None, pretrained_sha256=None),
            "image_shape": shape,
            "threshold": 0.0,
            "threshold_rule": "none: the likeliest class counts",
            "temperature": temperature,
            "metrics": class_rates(confusion, names) | calibration_figures(raw, test.labels, temperature),
            "episodes": {name: len(part.episodes) for name, part in parts.items()},
            "frames": {name: len(part) for name, part in parts.items()},
            "classes": names,
        },
    )
    recalls = ", ".join(f"{name} {facts.metrics[f'recall/{name}']:.2%}" for name in names)
    console.print(
        f"{len(test)} frames of {len(test.episodes)} held-out episodes: balanced accuracy "
        f"{facts.metrics['balanced_accuracy']:.2%}, of all frames {facts.metrics['accuracy']:.2%}; right are {recalls}",
        highlight=False,
        soft_wrap=True,
    )
    console.print(f"{options.out}: the classifier, {CONFUSION}, {WORST} and {CURVE}", highlight=False, soft_wrap=True)
    panels = {
        "cross-entropy (nats)": ("train/loss", "held_out/loss"),
        "accuracy (share of frames)": ("train/accuracy", "held_out/accuracy"),
    }
    draw_curves(options.out / METRICS, options.out / CURVE, panels)
    title = f"{len(test)} frames of {len(test.episodes)} held-out episodes"
    draw_confusion(confusion, options.out / CONFUSION, title, names)
    worst = np.argsort(shares[np.arange(len(truth)), truth])[:_SHOWN]
    images = [np.concatenate([test.images[key][row] for key in encoder.cameras()], axis=1) for row in worst]
    captions = [f"{names[truth[row]]}, predicted {shares[row, truth[row]]:.2f}" for row in worst]
    draw_montage(images, captions, options.out / WORST)
    return facts
