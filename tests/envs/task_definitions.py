"""The numbers that make a task, for every id; `python -m tests.envs.task_definitions` adds those of new ids.

What is in the file already stays: an id with other numbers is another task, and needs another version.
"""

from __future__ import annotations

import json
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium import spaces
from pydantic import BaseModel

from envs.registration import DUAL_TABLE, TABLE, Entry
from envs.tasks.franka_config import FrankaTaskConfig
from rl.data.spaces import describe_space

FILE = Path(__file__).with_suffix(".json")
DEFAULTS = {of.name: of.default for of in fields(FrankaTaskConfig) if of.default is not MISSING}
"""Numbers that a task has unless its configuration gives others."""


def definitions() -> dict[str, Any]:
    """The tasks of all ids and the defaults of their configurations, as a JSON file keeps them."""
    found = {name: _entry(entry) for name, entry in TABLE.items()}
    for name, pair in DUAL_TABLE.items():
        found |= {f"{name} {arm}": _entry(getattr(pair, arm)) for arm in ("left", "right")}
    return {**found, FrankaTaskConfig.__name__: _plain(DEFAULTS)}


def _entry(entry: Entry) -> dict[str, Any]:
    task, actions = entry.task(), entry.action_map()
    public = {name: value for name, value in vars(task).items() if not name.startswith("_")}
    described = {"max_episode_steps": entry.max_episode_steps, "cell": entry.cell, **public, "actions": actions.space}
    return _plain(described)


def _plain(value: Any) -> Any:
    if isinstance(value, spaces.Space):
        return describe_space(value)
    if isinstance(value, BaseModel):
        return _plain(value.model_dump())
    if isinstance(value, FrankaTaskConfig):
        given = [of.name for of in fields(value) if DEFAULTS.get(of.name, MISSING) != getattr(value, of.name)]
        return {name: _plain(getattr(value, name)) for name in given}
    if is_dataclass(value):
        return {of.name: _plain(getattr(value, of.name)) for of in fields(value)}
    if isinstance(value, dict):
        return {str(name): _plain(inner) for name, inner in value.items()}
    if isinstance(value, (tuple, list)):
        return [_plain(inner) for inner in value]
    if isinstance(value, np.ndarray):
        return value.tolist()
    return value if value is None or isinstance(value, (bool, int, float, str)) else type(value).__name__


if __name__ == "__main__":
    kept = json.loads(FILE.read_text(encoding="utf-8")) if FILE.exists() else {}
    lines = [f"{json.dumps(name)}: {json.dumps(of, sort_keys=True)}" for name, of in (definitions() | kept).items()]
    FILE.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
