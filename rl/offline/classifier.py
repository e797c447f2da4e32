"""Training a reward classifier on labelled frames: `robotkit-train classifier`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from rich.console import Console

from rl.common.encoder_config import EncoderConfig
from rl.errors import ConfigError, DataError
from rl.networks.reward_classifier import make_classifier
from rl.networks.reward_function import ClassifierFacts, sample_of, save_reward_classifier
from rl.offline.calibration import calibration_figures, fit_temperature
from rl.offline.classifier_learner import ClassifierLearner
from rl.offline.classifier_options import SETTINGS, TrainClassifierOptions
from rl.offline.confusion_counts import ConfusionCounts, choose_threshold
from rl.offline.epochs import EpochContext, EpochsConfig, require_same_networks, run_epochs, say_how_to_go_on
from rl.offline.frame_sets import FrameSet, FrameSplit, load_class_split
from rl.offline.kept_maps import keep_maps
from rl.offline.n_way import conclude_n_way
from rl.offline.rows import Rows, balanced_loader
from rl.plots.pictures import draw_confusion, draw_curves, draw_montage
from rl.utils.distributed import ProcessGroup, joined_process_group, local_device
from rl.utils.performance import tune_backends
from rl.utils.run_directory import CONFUSION, CURVE, METRICS, WORST, claim_run
from rl.utils.seeds import Seeds
from rl.utils.subprocesses import Stop

_SHOWN = 24  # frames of the picture of the worst errors
_CHUNK = 512  # frames that are classified at once


def train_classifier(options: TrainClassifierOptions, stop: Stop, console: Console) -> ClassifierFacts | None:
    """Train to the last epoch, choose the threshold, evaluate, and write the classifier with its pictures.

    Returns:
        The facts that were stored; None in processes that write nothing, and when somebody asked for the end.
    """
    torch.set_num_threads(options.threads)
    device = local_device(options.device)
    tune_backends(device)
    with joined_process_group(device) as group:
        return _train(options, device, group, stop, console)


def _train(
    options: TrainClassifierOptions, device: torch.device, group: ProcessGroup, stop: Stop, console: Console
) -> ClassifierFacts | None:
    seeds = Seeds(options.seed)
    names = tuple(options.class_files())
    split = load_class_split(options.class_files(), options.image_keys, options.held_out, seeds.integer("split"))
    encoder, shape = _encoder_for(options, split)
    cameras = encoder.cameras()
    network = make_classifier(seeds.integer("network"), sample_of(cameras, shape), encoder, len(names)).to(device)
    learner = ClassifierLearner(network, options.learning_rate, options.crop_padding, options.precision, device)
    if group.is_main:  # now that nothing has kept it from starting
        claim_run(options.out, resume=options.resume, facts={"content": "reward classifier"})
        if options.resume:
            require_same_networks(learner, options.out)
        SETTINGS.write(options.out, options)
    group.wait()
    train, tune = {key: split.train.images[key] for key in cameras}, split.tune
    if options.cached_shifts:
        encoder_def, padding, seed = network.encoder_def, options.crop_padding, seeds.integer("shifts")
        train = keep_maps(encoder_def, split.train, options.cached_shifts, padding, seed).images
        tune = keep_maps(encoder_def, split.tune, 1, padding, seed)
    rows = Rows({"images": train, "labels": split.train.labels})
    loader, order = balanced_loader(
        rows,
        split.train.labels,
        options.batch_size,
        seeds.integer("order"),
        group=group,
        workers=options.workers,
        pin=device.type == "cuda",
        classes=len(names),
    )
    config = EpochsConfig(options.epochs, options.seed, options.checkpoint_every)
    context = EpochContext(loader, order, lambda: learner.evaluate(tune, _CHUNK), options.out, group, console)
    done = run_epochs(learner, config, context, stop)
    if not group.is_main:
        return None
    if done < options.epochs:
        say_how_to_go_on("classifier", options.out, done, options.epochs, console)
        return None
    if options.classes:
        return conclude_n_way(options, encoder, shape, learner, split, console)
    return _conclude(options, encoder, shape, learner, split, console)


def require_better_than_chance(facts: ClassifierFacts) -> None:
    """Raise `DataError` when a classifier may as well guess, whatever share of all frames it has right."""
    balanced, low = facts.metrics["balanced_accuracy"], facts.metrics["balanced_accuracy_low"]
    kinds = f"frames of {', '.join(facts.classes)}" if facts.classes else "successes and other frames"
    if facts.may_as_well_guess:
        raise DataError(
            f"the classifier is no better than chance: of {kinds} it has {balanced:.0%} right on "
            f"average ({low:.0%} at least, with 95 % confidence), and guessing has {facts.chance:.0%}. It is written, "
            f"and pays no reward unless --classifier.allow-chance is given. Look at {WORST} and at the frames that "
            "were recorded: do the cameras show the success? Then record more episodes, or train for more epochs"
        )


def _encoder_for(options: TrainClassifierOptions, split: FrameSplit) -> tuple[EncoderConfig, tuple[int, int, int]]:
    images = split.train.images
    cameras = options.image_keys or tuple(images)
    shapes = {images[key].shape[1:] for key in cameras}
    if len(shapes) > 1:
        raise ConfigError(f"the cameras must have images of one shape, not {shapes}: record with --image-size")
    height, width, channels = shapes.pop()
    return replace(options.encoder, image_keys=cameras, use_proprio=False), (height, width, channels)


def _conclude(
    options: TrainClassifierOptions,
    encoder: EncoderConfig,
    shape: tuple[int, int, int],
    learner: ClassifierLearner,
    split: FrameSplit,
    console: Console,
) -> ClassifierFacts:
    tuned, tested = (learner.logits(part, _CHUNK) for part in (split.tune, split.test))
    temperature = fit_temperature(tuned, split.tune.labels)
    threshold = choose_threshold(_probabilities(tuned, temperature), split.tune.labels, options.most_false_positives)
    probabilities = _probabilities(tested, temperature)
    counts = ConfusionCounts.of(probabilities, split.test.labels, threshold)
    parts = {"train": split.train, "tune": split.tune, "test": split.test}
    # The weight file holds the trunk, so whoever loads it needs no other file.
    stored = replace(encoder, pretrained_path=None, pretrained_sha256=None)
    rule = f"the lowest from 0.5 on with at most {options.most_false_positives:.1%} false positives in `tune`"
    facts = save_reward_classifier(
        options.out,
        learner.network,
        {
            "encoder": stored,
            "image_shape": shape,
            "threshold": threshold,
            "threshold_rule": rule,
            "temperature": temperature,
            "metrics": counts.rates() | calibration_figures(tested, split.test.labels, temperature),
            "episodes": {name: len(part.episodes) for name, part in parts.items()},
            "frames": {name: len(part) for name, part in parts.items()},
        },
    )
    _say(options.out, facts, counts, console)
    _draw(options.out, split.test, probabilities, counts, facts)
    return facts


def _probabilities(logits: torch.Tensor, temperature: float) -> np.ndarray:
    """The probabilities of success (N,), as a `RewardClassifier` of this temperature gives them."""
    return (logits.squeeze(-1) / temperature).double().sigmoid().numpy()


def _draw(
    out: Path, test: FrameSet, probabilities: np.ndarray, counts: ConfusionCounts, facts: ClassifierFacts
) -> None:
    panels = {
        "cross-entropy (nats)": ("train/loss", "held_out/loss"),
        "accuracy (share of frames)": ("train/accuracy", "held_out/accuracy"),
    }
    draw_curves(out / METRICS, out / CURVE, panels)
    title = f"{len(test)} frames of {len(test.episodes)} held-out episodes,\nthreshold {facts.threshold:.3f}"
    draw_confusion(counts.confusion, out / CONFUSION, title)
    worst = np.argsort(-np.abs(probabilities - test.labels))[:_SHOWN]
    images = [np.concatenate([test.images[key][row] for key in facts.encoder.cameras()], axis=1) for row in worst]
    words = ("no success", "success")
    captions = [f"{words[int(test.labels[row])]}, predicted {probabilities[row]:.2f}" for row in worst]
    draw_montage(images, captions, out / WORST)


def _say(out: Path, facts: ClassifierFacts, counts: ConfusionCounts, console: Console) -> None:
    rates = facts.metrics
    console.print(
        f"{facts.frames['test']} frames of {facts.episodes['test']} held-out episodes: balanced accuracy "
        f"{rates['balanced_accuracy']:.2%}, of all frames {rates['accuracy']:.2%}; {counts.false_positives} false "
        f"positives, {counts.false_negatives} missed successes",
        highlight=False,
        soft_wrap=True,
    )
    console.print(f"threshold {facts.threshold:.4f}: {facts.threshold_rule}", highlight=False, soft_wrap=True)
    negatives = counts.false_positives + counts.true_negatives
    console.print(
        f"at it {rates['false_positive_rate']:.2%} of {negatives} held-out negatives pass, "
        f"{rates['false_positive_rate_high']:.2%} at most (95 %); a probability is "
        f"{rates['calibration_error']:.2%} off on average (temperature {facts.temperature:.2f}; "
        f"{rates['calibration_error_before']:.2%} without)",
        highlight=False,
        soft_wrap=True,
    )
    console.print(f"{out}: the classifier, {CONFUSION}, {WORST} and {CURVE}", highlight=False, soft_wrap=True)
