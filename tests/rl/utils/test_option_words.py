"""An error names an option as its reader writes it: the command line with dashes, Python as a keyword argument."""

from __future__ import annotations

import ast
import re
from operator import attrgetter
from pathlib import Path
from typing import Any

import pytest

from rl import SAC, DrQ
from rl.config import EvaluationConfig, ReplayConfig, TrainConfig
from rl.errors import ConfigError, RlError
from rl.link.link_config import LinkConfig
from rl.utils.option_words import by_caller, command_line_words, option
from tests.support.source_imports import import_graph

ROOT = Path(__file__).parents[3]
ENV = "tests.support.tiny_env:FollowTarget-v0"
PIXELS = "tests.support.tiny_pixels:FollowLight-v0"


def test_a_field_is_an_option_in_a_command_and_an_argument_in_python():
    assert option("replay.n_step") == "n_step"
    assert option("replay.n_step", 3) == "n_step=3"
    assert option("images.size") == "image_size"
    assert option("human", "expert") == "human='expert'"
    assert by_caller("--agent drq", "rl.DrQ") == "rl.DrQ"
    with command_line_words():
        assert option("replay.n_step") == "--replay.n-step"
        assert option("replay.n_step", 3) == "--replay.n-step 3"
        assert by_caller("--agent drq", "rl.DrQ") == "--agent drq"
    assert option("steps") == "steps"


@pytest.mark.parametrize(
    ("make", "env", "settings", "named"),
    [
        (SAC, ENV, {"batch_size": -3}, "batch_size"),
        (SAC, ENV, {"env_steps_per_update": 0}, "env_steps_per_update"),
        (SAC, ENV, {"demo_share": 3.0}, "demo_share"),
        (SAC, ENV, {"n_step": 0}, "n_step"),
        (SAC, ENV, {"n_step": 9, "training_starts": 5}, "training_starts=5"),
        (SAC, ENV, {"interventions": 5}, "demos"),
        (SAC, ENV, {"demos": ["none.sqlite"]}, "none.sqlite"),
        (SAC, PIXELS, {}, "rl.DrQ"),
        (DrQ, ENV, {}, "rl.SAC"),
        (DrQ, PIXELS, {"image_frames": 3, "frame_stack": 2}, "image_frames"),
    ],
)
def test_an_error_of_the_python_api_has_no_option_of_the_command_line(
    make: Any, env: str, settings: dict[str, Any], named: str
):
    with pytest.raises(RlError, match=named) as refused:
        make(env, **settings)
    assert "--" not in str(refused.value)


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: TrainConfig(batch_size=0), "--batch-size must"),
        (lambda: TrainConfig(replay=ReplayConfig(n_step=0)), r"--replay\.n-step must"),
        (lambda: TrainConfig(link=LinkConfig(silence_s=0)), r"--link\.silence-s must"),
        (lambda: TrainConfig(max_lead=4), "--max-lead 4 needs --env-steps-per-update"),
        (lambda: TrainConfig(human="scripted", action_repeat=2), "--human needs --action-repeat 1"),
        (lambda: TrainConfig(evaluation=EvaluationConfig(stop_at_success=2)), r"--evaluation\.stop-at-success"),
        (lambda: TrainConfig(steps=3).require_steps(), "--training-starts 1000.*--steps 3"),
    ],
)
def test_an_error_of_a_command_names_the_option_as_it_is_typed(make: Any, named: str):
    with command_line_words(), pytest.raises(ConfigError, match=named):
        make()


@pytest.mark.parametrize("first", ["MlpPolicy", "CnnPolicy"])
@pytest.mark.parametrize("make", [SAC, DrQ])
def test_a_call_in_the_order_of_another_library_is_told_the_order_here(make: Any, first: str):
    for arguments in ((first, ENV), (first,)):
        with pytest.raises(ConfigError, match=rf"{make.__name__}\(env, config=\w+Config\(hidden_dims="):
            make(*arguments)


def test_what_the_python_api_is_built_of_names_no_option_of_the_command_line_by_itself():
    graph = import_graph(ROOT, ["rl"])
    reached, waiting = set(), ["rl.training.algorithms"]
    while waiting:
        name = waiting.pop()
        reached.add(name)
        waiting += sorted((graph[name] & graph.keys()) - reached)
    wrong = [
        f"{name}: {text}"
        for name in sorted(reached)
        if not name.startswith(tuple(COMMANDS_ONLY))
        for text in _texts(name)
        if _names_option(text)
    ]
    assert wrong == []


def test_every_option_that_a_remedy_of_the_doctor_names_is_one_of_a_run():
    room = ROOT / "rl" / "training" / "doctor"
    named = {name for file in room.glob("*.py") for name in re.findall(r"option\('([a-z_.]+)'", file.read_text())}
    assert len(named) > 15
    for name in named:
        attrgetter(name)(TrainConfig())


COMMANDS_ONLY = {
    "rl.link": "the connection between processes of commands",
    "rl.utils.run_directory": "reads the command line",
    "rl.utils.distributed": "torchrun",
    "rl.offline": "of it a script reads a clone alone, whose training is a command",
}
"""Modules that errors of a script do not come from, and why."""


def _texts(module: str) -> list[str]:
    """The texts of a module that are no documentation."""
    path = ROOT.joinpath(*module.split("."))
    source = path.with_suffix(".py") if path.with_suffix(".py").exists() else path / "__init__.py"
    tree = ast.parse(source.read_text())
    documentation = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    spoken = {id(word) for node in ast.walk(tree) if _is_by_caller(node) for word in ast.walk(node)}
    return [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documentation | spoken
    ]


def _is_by_caller(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "by_caller"


def _names_option(text: str) -> bool:
    return re.search(r"(?<![\w-])--[a-z]", text) is not None and "robotkit-train" not in text
