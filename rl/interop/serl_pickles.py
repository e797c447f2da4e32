"""Demonstrations of SERL and HIL-SERL: pickled transitions, read without running code, as whole episodes.

A file holds one pickle or several, each a transition, a list of transitions or a list of trajectories. A transition is
a dict of `observations`, `actions`, `next_observations`, `rewards`, `masks` and `dones`; HIL-SERL adds `infos`, of
which `grasp_penalty` and `succeed` are kept. What those files get wrong is not repeated here:

- They follow one another without a mark where a recording was interrupted or only interventions were kept. An episode
  ends where `dones` or `masks` say so, and also where the next transition does not start at the observation that the
  last one led to; there it was cut off, which is no failure: its mask stays 1.
- The original environments call a time limit an end of the task, with mask 0. Which ones these were cannot be seen in
  the data; `time_limit` undoes it.
- Files of one folder are read in the order of the numbers in their names.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from io import BufferedReader
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from rl.data.demos import DemoSummary
from rl.data.schema import GRASP_PENALTY
from rl.errors import DataError
from rl.interop.demo_import import FIELDS, ImportedEpisode, Spaces, write_demos
from rl.interop.options import SerlOptions
from rl.interop.safe_unpickler import read_pickles
from rl.utils.tree import leaves
from rl.wrappers.pixel_observation import STATE

_SUCCESS_NAMES = ("succeed", "success")
_REAL_ROBOT_STATE = 19
"""gripper_pose (1), tcp_force (3), tcp_pose (6), tcp_torque (3), tcp_vel (6): alphabetical, as SERL stores it."""
_KEPT_WITH_Z_ONLY = (0, 1, 2, 3, 6, *range(10, 19))
"""Indices of the state's numbers that are kept, without x, y and the orientation of tcp_pose: 14 numbers."""


class Opener(Protocol):
    """Opens a file for reading; a command line shows how far it was read."""

    def __call__(self, path: Path) -> AbstractContextManager[BufferedReader]:
        """Open the file."""
        ...


def import_serl(
    sources: Sequence[Path], out: Path, spaces: Spaces | None, options: SerlOptions, opener: Opener
) -> DemoSummary:
    """Write a demonstration file from pickles.

    Args:
        sources: files, or folders of `.pkl` files.
        out: the file to write; must not exist.
        spaces: of the environment that it is for; read off the data when not given.
        options: what to make of the transitions.
        opener: opens a file.

    Raises:
        DataError: a file cannot be read, is no list of transitions, names something else than arrays, or does not fit.
    """
    transitions = (t for path in pickles_in(sources) for t in _transitions_in(path, opener))
    return write_demos(out, episodes_of(transitions, options), spaces)


def pickles_in(sources: Iterable[Path]) -> list[Path]:
    """The files that are meant, those of a folder in the order of their numbers.

    Raises:
        DataError: there is no such file, or a folder without any.
    """
    found: list[Path] = []
    for source in sources:
        files = sorted(source.glob("*.pkl"), key=_natural) if source.is_dir() else [source]
        if not files or not all(file.is_file() for file in files):
            raise DataError(f"there is no {'.pkl file in ' if source.is_dir() else 'file '}{source}")
        found += files
    return found


def _natural(path: Path) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", path.name)]


def _transitions_in(path: Path, opener: Opener) -> Iterator[Mapping[str, Any]]:
    try:
        with opener(path) as file:
            for content in read_pickles(file, str(path)):
                yield from _flattened(content, path)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from error


def _flattened(content: Any, path: Path) -> Iterator[Mapping[str, Any]]:
    if isinstance(content, Mapping):
        if missing := [name for name in FIELDS if name not in content]:
            raise DataError(f"{path}: a transition has no {', '.join(missing)}; it has {', '.join(map(str, content))}")
        yield content
    elif isinstance(content, list | tuple):
        for item in content:
            yield from _flattened(item, path)
    else:
        raise DataError(f"{path}: a {type(content).__name__} stands where transitions are expected")


def episodes_of(transitions: Iterable[Mapping[str, Any]], options: SerlOptions) -> Iterator[ImportedEpisode]:
    """Cut a stream of transitions into episodes."""
    episode: list[Mapping[str, Any]] = []
    has_penalty: bool | None = None
    for transition in transitions:
        if episode and not _leads_to(episode[-1], transition):
            yield _finished(episode, options, bool(has_penalty))
            episode = []
        if has_penalty is None:
            has_penalty = options.grasp_penalty and _penalty(transition) is not None
        if options.grasp_penalty and not has_penalty and _penalty(transition) is not None:
            raise DataError(
                "some of these transitions have a grasp_penalty and the first has none: import the files of each kind "
                "into a file of their own, or leave the penalty out with --no-grasp-penalty"
            )
        episode.append(transition)
        if _ends(transition):
            yield _finished(episode, options, bool(has_penalty))
            episode = []
    if episode:
        yield _finished(episode, options, bool(has_penalty))


def _ends(transition: Mapping[str, Any]) -> bool:
    return bool(np.any(transition["dones"])) or not np.all(transition["masks"])


def _leads_to(transition: Mapping[str, Any], following: Mapping[str, Any]) -> bool:
    after = dict(leaves({"": transition["next_observations"]}))
    before = dict(leaves({"": following["observations"]}))
    return after.keys() == before.keys() and all(np.array_equal(value, before[path]) for path, value in after.items())


def _finished(episode: list[Mapping[str, Any]], options: SerlOptions, penalty: bool) -> ImportedEpisode:
    transitions = [_ours(transition, options, penalty) for transition in episode]
    last = transitions[-1]
    success = _success(episode[-1])
    last["dones"] = 1.0
    if options.time_limit is not None and len(episode) >= options.time_limit and not success:
        last["masks"] = 1.0
    return ImportedEpisode(transitions, success)


def _ours(transition: Mapping[str, Any], options: SerlOptions, penalty: bool) -> dict[str, Any]:
    ours = {name: transition[name] for name in FIELDS}
    if options.z_axis_only:
        ours |= {name: _z_only(transition[name]) for name in ("observations", "next_observations")}
    found = _penalty(transition)
    return ours | ({GRASP_PENALTY: 0.0 if found is None else found} if penalty else {})


def _z_only(observation: Any) -> dict[str, Any]:
    """The original: populate_data_store_with_z_axis_only."""
    state = np.asarray(observation.get(STATE)) if isinstance(observation, Mapping) else np.empty(0)
    if state.shape[-1:] != (_REAL_ROBOT_STATE,):
        raise DataError(
            f"only z can be kept of a real robot's state of {_REAL_ROBOT_STATE} numbers; this one is {state.shape}"
        )
    return {**observation, STATE: state[..., list(_KEPT_WITH_Z_ONLY)]}


def _infos(transition: Mapping[str, Any]) -> Mapping[str, Any]:
    infos = transition.get("infos")
    return infos if isinstance(infos, Mapping) else {}


def _penalty(transition: Mapping[str, Any]) -> Any:
    """The actor of HIL-SERL stores it beside the reward, its recorder of demonstrations in `infos`."""
    return transition.get(GRASP_PENALTY, _infos(transition).get(GRASP_PENALTY))


def _success(transition: Mapping[str, Any]) -> bool:
    """Return what the environment said, else whether the last reward was positive."""
    said = [_infos(transition)[name] for name in _SUCCESS_NAMES if name in _infos(transition)]
    return bool(np.all(said)) if said else bool(np.all(np.asarray(transition["rewards"]) > 0))
