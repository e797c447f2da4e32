"""Mining a run for the errors of its reward classifier: `robotkit-train classifier mine`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from rich.console import Console

from rl.config import TrainConfig, load_config
from rl.data.journal import TransitionJournal
from rl.data.labelled_frames import Frame, FrameWriter, read_frames
from rl.errors import ConfigError, DataError
from rl.evaluation.mine_options import MineOptions, RetrainOptions
from rl.evaluation.payments import PaidFrames, Payment, find_payments
from rl.networks.reward_function import load_reward_classifier
from rl.offline.classifier_options import SETTINGS, TrainClassifierOptions
from rl.plots.pictures import draw_montages, side_by_side
from rl.utils.run_directory import CONFIG, JOURNAL, NEGATIVES, POSITIVES

WAITING, PICTURE = "waiting.sqlite", "mined.png"
_SHOWN = 60  # waiting payments in the picture, the newest
_OTHERS_SHOWN = 24


@dataclass(frozen=True)
class Mined:
    """Payments of a run and what became of them, by the step at which each was paid."""

    payments: int
    """Payments that the run still holds."""
    waiting: tuple[int, ...]
    denied: tuple[int, ...]
    """Payments whose frames are negatives by now."""
    confirmed: tuple[int, ...]
    """Payments whose frames are positives by now."""


def mine(options: MineOptions, console: Console) -> Mined:
    """Add the doubtful payments to those that wait, label those that a person names, and draw what there is.

    Raises:
        ConfigError: there is no run that a classifier paid, or it has no payment at a step that is named.
        DataError: the run kept no images that the classifier could look at, or a payment has the other label already.
    """
    config = _config_of(options)
    least_steps = options.short_share * min(_demo_lengths(options.demos or config.replay.demos), default=0)
    payments = {one.row: one for one in _read(options, config)}
    options.out.mkdir(parents=True, exist_ok=True)
    run = f"{options.run.resolve()} step "
    with ExitStack() as stack:
        waiting, negatives, positives = (
            stack.enter_context(FrameWriter(options.out / name)) for name in (WAITING, NEGATIVES, POSITIVES)
        )
        for row, payment in payments.items():
            if payment.reasons(least_steps):
                waiting.write(f"{run}{row}", payment.frames)
        kept = {one.episode: one for one in read_frames([options.out / WAITING])}
        frames = {name: _split(one.images) for name, one in kept.items()}
        frames |= {f"{run}{row}": payment.frames for row, payment in payments.items()}

        if unknown := [row for row in (*options.denied, *options.confirmed) if f"{run}{row}" not in frames]:
            raise ConfigError(f"there is no payment at step {', '.join(map(str, unknown))} in {options.run}")
        for rows, other in ((options.denied, positives), (options.confirmed, negatives)):
            if known := [row for row in rows if f"{run}{row}" in other.episodes]:
                raise DataError(
                    f"the payments at step {', '.join(map(str, known))} have the other label already: delete the files "
                    f"in {options.out} to begin anew"
                )

        def label(rows: Sequence[int], writer: FrameWriter) -> None:
            for name in (f"{run}{row}" for row in rows):
                writer.write(name, frames[name])

        label(options.confirmed, positives)
        label(options.denied, negatives)

        def rows_of(names: Sequence[str]) -> tuple[int, ...]:
            return tuple(int(name.removeprefix(run)) for name in names if name.startswith(run))

        labelled = {*negatives.episodes, *positives.episodes}
        rest = rows_of([name for name in waiting.episodes if name not in labelled])
        if options.deny_rest:
            label(rest, negatives)
        found = Mined(
            len(payments), () if options.deny_rest else rest, rows_of(negatives.episodes), rows_of(positives.episodes)
        )
    _say(options, found, least_steps, console)
    _draw(options.out / PICTURE, found, payments, {row: frames[f"{run}{row}"] for row in found.waiting}, least_steps)
    return found


def retrain_options(options: RetrainOptions) -> TrainClassifierOptions:
    """The options of a classifier's training with mined frames besides its own.

    Raises:
        ConfigError: there is no such classifier, or it tells more than two classes apart.
        DataError: nothing that was mined is labelled yet.
    """
    settings = SETTINGS.read(options.classifier)
    if settings.classes:
        raise ConfigError("a classifier of several classes is not paid by, and has no errors to mine")
    positives, negatives = (
        [file for folder in options.mined if (file := folder / name).is_file() and _holds_frames(file)]
        for name in (POSITIVES, NEGATIVES)
    )
    if not positives and not negatives:
        raise DataError(
            f"{', '.join(map(str, options.mined))}: nothing is labelled yet. Look at {PICTURE}, and say with "
            "`robotkit-train classifier mine --denied` and `--confirmed` what it shows"
        )
    changed = replace(
        settings,
        positives=tuple(dict.fromkeys((*settings.positives, *positives))),
        negatives=tuple(dict.fromkeys((*settings.negatives, *negatives))),
        out=options.out,
        resume=False,
    )
    changed = changed if options.epochs is None else replace(changed, epochs=options.epochs)
    return changed if options.device is None else replace(changed, device=options.device)


def _config_of(options: MineOptions) -> TrainConfig:
    if not (options.run / CONFIG).is_file() or not (options.run / JOURNAL).is_file():
        raise ConfigError(f"{options.run} is no run: give the directory that `robotkit-train train --out` wrote")
    config = load_config(options.run / CONFIG)
    if options.reward_classifier is None and config.reward_classifier is None:
        raise ConfigError(
            f"the run {options.run} was not paid by a reward classifier; give --reward-classifier where one is part of "
            "its environment"
        )
    return config


def _demo_lengths(files: Sequence[Path]) -> list[int]:
    lengths = []
    for file in files:
        with TransitionJournal(file, read_only=True) as journal:
            lengths += [block.last_row - block.first_row for block in journal.blocks()]
    return lengths


def _read(options: MineOptions, config: TrainConfig) -> list[Payment]:
    classifier = options.reward_classifier or config.reward_classifier
    assert classifier is not None
    facts = load_reward_classifier(classifier).facts
    count = options.frames or math.ceil(config.classifier.positive_frames / config.action_repeat)
    kept = PaidFrames(facts.encoder.cameras(), facts.image_shape[0], count)
    with TransitionJournal(options.run / JOURNAL, read_only=True) as journal, journal.unchanged():
        return list(find_payments(journal.blocks(), kept, options.takeover_steps))


def _holds_frames(file: Path) -> bool:
    with TransitionJournal(file, read_only=True) as journal:
        return len(journal) > 0


def _split(images: Mapping[str, np.ndarray]) -> tuple[Frame, ...]:
    count = len(next(iter(images.values())))
    return tuple({name: stack[index] for name, stack in images.items()} for index in range(count))


def _say(options: MineOptions, found: Mined, least_steps: float, console: Console) -> None:
    rule = f"fewer than {least_steps:g} steps" if least_steps else "no length, for there are no demonstrations"
    lines = [
        f"{options.run}: {found.payments} payments; doubtful are {rule}, and a person who takes over within "
        f"{options.takeover_steps} steps",
        f"{options.out}: {len(found.waiting)} wait, {len(found.denied)} are negatives and "
        f"{len(found.confirmed)} positives",
    ]
    if found.waiting:
        lines.append(f"look at {options.out / PICTURE}, and give --denied and --confirmed with their steps")
    for line in lines:
        console.print(line, highlight=False, soft_wrap=True)


def _draw(
    picture: Path,
    found: Mined,
    payments: Mapping[int, Payment],
    waiting: Mapping[int, Sequence[Frame]],
    least_steps: float,
) -> None:
    """Draw the last frame of what waits, the newest, and of other payments, evenly spread."""

    def shown(frames: Sequence[Frame]) -> np.ndarray:
        return side_by_side([frames[-1][name] for name in sorted(frames[-1])])

    def caption(row: int) -> str:
        payment = payments.get(row)
        if payment is None:
            return f"step {row}"
        length = "" if payment.length is None else f" after {payment.length}"
        return "\n".join([f"step {row}{length}", ", ".join(payment.reasons(least_steps))])

    newest = sorted(waiting)[-_SHOWN:]
    others = sorted(payments.keys() - set(waiting) - {*found.denied, *found.confirmed})
    spread = (
        [others[index] for index in np.unique(np.linspace(0, len(others) - 1, _OTHERS_SHOWN).astype(int))]
        if others
        else []
    )
    groups = {
        f"{len(newest)} of {len(waiting)} that wait": (
            [shown(waiting[row]) for row in newest],
            [*map(caption, newest)],
        ),
        f"{len(spread)} of {len(others)} that nothing speaks against": (
            [shown(payments[row].frames) for row in spread],
            [*map(caption, spread)],
        ),
    }
    drawn = {title: group for title, group in groups.items() if group[0]}
    if drawn:
        draw_montages(drawn, picture)
