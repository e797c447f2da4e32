"""Demonstrations: whole episodes in a journal file, recorded once and loaded into a replay buffer."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

from rl.data.buffer import Buffer
from rl.data.journal import Block, TransitionJournal
from rl.data.n_step import NStep
from rl.data.schema import EXTRAS, FIELDS
from rl.data.spaces import describe_spaces, differences, space_of
from rl.data.transition import make_transition
from rl.errors import DataError
from rl.utils.option_words import by_caller
from rl.utils.tree import Batch, stack

_RECORDER = "demonstrator"

RATE_HZ = "rate_hz"
"""Name of the fact, in an episode's origin, how many actions per second were taken."""


@dataclass(frozen=True)
class DemoSummary:
    """The content of a demonstration file."""

    episodes: int
    transitions: int
    return_mean: float
    """Mean of the undiscounted episode returns."""
    successes: int
    """Episodes whose last step reported success."""


class DemoWriter:
    """Writes demonstrations episode by episode; a killed recording keeps its finished episodes.

    Args:
        path: the file; an existing one with the same spaces gets more episodes.
        observation_space: of the environment that the demonstrations are for.
        action_space: the same.
    """

    def __init__(
        self, path: str | os.PathLike[str], observation_space: gym.Space[Any], action_space: gym.Space[Any]
    ) -> None:
        self._journal = TransitionJournal(path, metadata=describe_spaces(observation_space, action_space))

    def __enter__(self) -> DemoWriter:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def write_episode(
        self, transitions: Sequence[Mapping[str, Any]], *, success: bool, origin: Mapping[str, Any] | None = None
    ) -> None:
        """Append one episode; its last transition must end it.

        Args:
            transitions: in order.
            success: whether it did what it should.
            origin: how to come to its start again: the `seed` of its reset, the environment's id and adaptation.

        Raises:
            DataError: no transitions, or the episode does not end where `dones` says so.
        """
        if not transitions:
            raise DataError("an episode without transitions is no demonstration")
        batch = stack(list(transitions))
        if not batch["dones"][-1] or batch["dones"][:-1].any():
            raise DataError(
                "a demonstration is one whole episode: `dones` must be 1 at its last transition and only there"
            )
        info = {"return": float(batch["rewards"].sum()), "success": bool(success), "origin": dict(origin or {})}
        fitted = self._as_in_the_file(batch)
        self._journal.append(_RECORDER, self._journal.last_sequence(_RECORDER) + 1, fitted, info)

    def _as_in_the_file(self, batch: Batch) -> Batch:
        """The batch with those of `EXTRAS` that the file's first episode had: files of before have none of them."""
        stored = self._journal.metadata.get("fields")
        if stored is None:
            return batch
        names = [name for name in (*batch, *EXTRAS) if name not in EXTRAS or name in stored]
        return _with_extras(batch, dict.fromkeys(names, 0.0))

    def close(self) -> None:
        """Finish the file."""
        self._journal.finish()


def record_demos(
    path: str | os.PathLike[str],
    env: gym.Env,
    policy_fn: Callable[[Any], np.ndarray],
    episodes: int,
    seed: int,
    *,
    attempts_per_episode: int = 5,
    origin: Mapping[str, Any] | None = None,
    resume: bool = False,
    on_attempt: Callable[[int, int], None] = lambda kept, attempts: None,
) -> DemoSummary:
    """Record episodes of an expert, successful ones only (where the environment reports success).

    Args:
        path: the file; must not hold demonstrations yet, except to `resume`.
        env: every attempt has a seed of its own, which is stored, so that the episode can be replayed.
        policy_fn: observation to action; `info["intervene_action"]` is stored instead where the environment gives one.
        episodes: how many to keep.
        seed: the attempts' seeds are drawn from it.
        attempts_per_episode: give up after `episodes` times as many attempts.
        origin: facts about the environment that are stored with each episode.
        resume: go on with a recording that was broken off, as if it had not been.
        on_attempt: told after each attempt how many episodes were kept, of how many.

    Raises:
        DataError: the file exists, or was recorded from another seed, or the expert failed too often.
    """
    kept = attempts = 0
    origin = {**_rate_of(env, origin or {}), **(origin or {})}
    seeds = np.random.default_rng(seed)
    if Path(path).exists():
        if not resume:
            raise DataError(
                f"{path} exists already: demonstrations are never overwritten; choose another file, delete it, or "
                "resume the recording"
            )
        kept, attempts = _replay_seeds(path, seeds, episodes * attempts_per_episode)
    with DemoWriter(path, env.observation_space, env.action_space) as writer:
        while kept < episodes:
            if attempts == episodes * attempts_per_episode:
                raise DataError(
                    f"the expert succeeded in {kept} of {attempts} attempts only; {episodes} were asked for"
                )
            episode_seed = int(seeds.integers(2**31))
            transitions, success = run_episode(env, policy_fn, episode_seed)
            attempts += 1
            if success:
                writer.write_episode(transitions, success=success, origin={**origin, "seed": episode_seed})
                kept += 1
            on_attempt(kept, attempts)
    return summarize_demos(path)


def _rate_of(env: gym.Env, origin: Mapping[str, Any]) -> dict[str, float]:
    steps_hz = env.metadata.get("render_fps")
    return {RATE_HZ: float(steps_hz) / origin.get("action_repeat", 1)} if steps_hz else {}


def _replay_seeds(path: str | os.PathLike[str], seeds: np.random.Generator, most: int) -> tuple[int, int]:
    """Draw the seeds of a recording again up to its last episode; returns episodes and attempts so far."""
    with TransitionJournal(path, read_only=True) as journal:
        used = [episode_info(block).get("origin", {}).get("seed") for block in journal.blocks()]
    if not used:
        return 0, 0
    for attempt in range(1, most + 1):
        if int(seeds.integers(2**31)) == used[-1]:
            return len(used), attempt
    raise DataError(f"{path} was not recorded from this seed: it cannot be resumed; give the seed that it began with")


def run_episode(
    env: gym.Env, policy_fn: Callable[[Any], np.ndarray], seed: int | None
) -> tuple[list[dict[str, Any]], bool]:
    """Return one episode as transitions, and whether it is a success (True when the environment does not say).

    An episode with a step that does not follow from its action (`info["is_torn"]`) shows nothing, and is none.
    """
    observation, _ = env.reset(seed=seed)
    transitions: list[dict[str, Any]] = []
    ended = is_torn = False
    while not ended:
        # Taken as it is stored, in float32, so that a replay repeats it exactly.
        action = np.asarray(policy_fn(observation), np.float32).astype(env.action_space.dtype)
        next_observation, reward, terminated, truncated, info = env.step(action)
        ended = bool(terminated or truncated)
        is_torn = is_torn or bool(info.get("is_torn"))
        transitions.append(make_transition(observation, action, next_observation, reward, terminated, truncated, info))
        observation = next_observation
    return transitions, not is_torn and bool(np.all(info.get("success", True)))


def load_demos(
    path: str | os.PathLike[str],
    buffer: Buffer,
    observation_space: gym.Space[Any],
    action_space: gym.Space[Any],
    *,
    n_step: NStep | None = None,
    extras: Mapping[str, float] | None = None,
    convert: Callable[[Batch], Batch] = lambda batch: batch,
) -> DemoSummary:
    """Insert every demonstration of a file into a buffer.

    Args:
        path: a file made by `DemoWriter`.
        buffer: must have room for all of it.
        observation_space: of the environment that will be trained on; must equal the file's.
        action_space: the same.
        n_step: turns the episodes into n-step transitions first.
        extras: the buffer's extra fields, each with its value where the file does not hold it:
            `{"grasp_penalty": 0.0}`. Other extra fields of the file are left out.
        convert: turns the transitions of an episode into those of the buffer, before everything else.

    Raises:
        DataError: other spaces, other fields, or no room.
    """
    with TransitionJournal(path, read_only=True) as journal:
        _require_fit(journal, describe_spaces(observation_space, action_space))
        if len(journal) > buffer.capacity:
            raise DataError(f"{path} holds {len(journal)} transitions, the buffer has room for {buffer.capacity}")
        for block in journal.blocks():
            batch = convert(block.transitions)
            batch = batch if n_step is None else n_step.push(batch)
            buffer.extend(_with_extras(batch, extras or {}))
    return summarize_demos(path)


def require_demos_fit(
    path: str | os.PathLike[str], observation_space: gym.Space[Any], action_space: gym.Space[Any]
) -> None:
    """Raise `DataError` unless a file of demonstrations was recorded with these spaces."""
    with TransitionJournal(path, read_only=True) as journal:
        _require_fit(journal, describe_spaces(observation_space, action_space))


def demo_spaces(path: str | os.PathLike[str]) -> tuple[gym.Space[Any], gym.Space[Any]]:
    """The spaces of observations and actions that a file of demonstrations was recorded with.

    Raises:
        JournalError: there is no such file.
        DataError: it is no file of demonstrations.
    """
    with TransitionJournal(path, read_only=True) as journal:
        found = journal.metadata
        _require_described(journal, found)
    return space_of(found["observation_space"]), space_of(found["action_space"])


def summarize_demos(path: str | os.PathLike[str]) -> DemoSummary:
    """Count what a demonstration file holds."""
    with TransitionJournal(path, read_only=True) as journal:
        infos = [episode_info(block) for block in journal.blocks()]
        transitions = len(journal)
    returns = [info["return"] for info in infos]
    mean = float(np.mean(returns)) if returns else 0.0
    return DemoSummary(len(infos), transitions, mean, sum(info["success"] for info in infos))


def episode_info(block: Block) -> dict[str, Any]:
    """The facts of an episode: its return, its success, and those that its recorder added.

    Raises:
        DataError: the block is no episode of a demonstration file.
    """
    if not isinstance(block.info, dict) or not {"return", "success"} <= block.info.keys():
        raise DataError("this is a journal, but not one of demonstrations: its blocks are no episodes")
    return block.info


def _require_fit(journal: TransitionJournal, spaces: Mapping[str, Any]) -> None:
    found = {name: journal.metadata[name] for name in spaces if name in journal.metadata}
    _require_described(journal, found)
    # As a file keeps them.
    different = differences(found, json.loads(json.dumps(spaces)))
    if different:
        raise DataError(
            f"{journal.path} does not fit the environment: {'; '.join(different)}. "
            "Record it again, or train, with the same "
            + by_caller(
                "--env, --frame-stack, --sees-images and --images",
                "environment, frame_stack, image_size and image_frames",
            )
        )


def _require_described(journal: TransitionJournal, metadata: Mapping[str, Any]) -> None:
    if not {"observation_space", "action_space"} <= metadata.keys():
        raise DataError(
            f"{journal.path} is no file of demonstrations: it does not say for which spaces it was recorded"
        )


def _with_extras(batch: Batch, extras: Mapping[str, float]) -> Batch:
    """The six fields and these extras of a batch; what it holds counts, and what it lacks is filled in."""
    length = len(batch["rewards"])
    kept = {name: value for name, value in batch.items() if name in FIELDS or name in extras}
    return kept | {name: np.full(length, value, np.float32) for name, value in extras.items() if name not in batch}
