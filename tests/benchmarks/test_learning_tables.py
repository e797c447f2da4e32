"""Tables, tasks and variants of the learning benchmark name each other, and settings that exist."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.learning.demonstrations import find_demonstrations
from benchmarks.learning.peers.packages import find_pins
from benchmarks.learning.tables import TABLES, find_table, list_runs
from benchmarks.learning.tasks import Task
from benchmarks.learning.variants import OWN_RUNNER, VARIANTS, Variant, make_config, with_option
from rl.data.journal import TransitionJournal
from rl.errors import ConfigError
from rl.presets import make_preset
from tests.benchmarks.learning_runs import FOLLOW, SMALL, small_spec


@pytest.mark.parametrize("name", TABLES)
def test_a_table_names_runs_that_can_be_made(name):
    table, runs = TABLES[name], list_runs(name)
    assert (table.grid[0], table.grid[-1]) == (0, table.steps)
    assert len({(run.variant, run.seed) for run in runs}) == len(runs) == len(table.variants) * len(table.seeds)
    for run in runs:
        assert run.settings()["training"]["steps"] == table.steps
        assert run.settings()["training"]["seed"] == run.seed


def test_pairs_are_run_one_after_the_other():
    table = TABLES["pick-cube-state"]
    assert [run.seed for run in list_runs("pick-cube-state")[: len(table.variants)]] == [0] * len(table.variants)


def test_some_variants_of_a_table_can_be_run_alone():
    assert {run.variant for run in list_runs("smoke", ["small"])} == {"small"}
    with pytest.raises(ConfigError, match="the table 'smoke' has no variant 'demo'; it has small, small-standardised"):
        list_runs("smoke", ["small", "demo"])


def test_a_variant_differs_from_its_preset_in_its_options_alone():
    plain, changed = (VARIANTS[name].settings(FOLLOW, 0, 1000) for name in ("demo", "demo-standardised"))
    assert changed.pop("agent") == plain.pop("agent") | {"standardises_inputs": True}
    assert changed == plain
    config = make_config(VARIANTS["demo"], FOLLOW, 3, 1000)
    preset = make_preset("demo")
    assert (config.agent, config.replay, config.utd_ratio) == (preset.agent, preset.replay, preset.utd_ratio)


def test_an_option_is_found_by_the_name_of_the_command_line():
    config = with_option(make_preset("demo"), "agent.actor_optimizer.learning_rate", 0.25)
    assert config.agent.actor_optimizer.learning_rate == 0.25
    with pytest.raises(ConfigError, match="ReplayConfig has no option 'n_steps'"):
        with_option(config, "replay.n_steps", 3)


def test_a_preset_without_a_ratio_of_steps_to_updates_is_refused():
    with pytest.raises(ConfigError, match="add env_steps_per_update"):
        make_config(Variant("serl"), FOLLOW, 0, 10_000)
    assert make_config(Variant("serl", {"env_steps_per_update": 1}), FOLLOW, 0, 10_000).env_steps_per_update == 1


def test_the_settings_of_another_runner_are_its_options_and_the_versions_of_its_packages():
    peer = Variant("SAC", {"gamma": 0.97}, "somewhere.else:run", ("stable-baselines3",))
    assert peer.settings(FOLLOW, 3, 10) == {
        "runner": "somewhere.else:run", "preset": "SAC", "packages": find_pins(["stable-baselines3"]), "gamma": 0.97,
        "seed": 3, "steps": 10,
    }  # fmt: skip
    assert Variant("default").runner == OWN_RUNNER


def test_a_table_that_is_not_there_is_refused_with_its_neighbours():
    with pytest.raises(ConfigError, match=r"Did you mean 'smoke'\? Known: pick-cube-state"):
        find_table("smok")


def test_demonstrations_are_recorded_once_and_always_the_same(tmp_path):
    task = Task(FOLLOW.env, 2, "tests.benchmarks.learning_runs:Follow", 5)
    path = find_demonstrations(small_spec(task=task), tmp_path / "a")
    assert path == find_demonstrations(small_spec(task=task, seed=1), tmp_path / "a")
    again = find_demonstrations(small_spec(task=task), tmp_path / "b")
    assert path is not None
    assert again is not None
    assert path.name == again.name
    np.testing.assert_array_equal(actions_in(path), actions_in(again))
    assert [file.name for file in (tmp_path / "a").iterdir()] == [path.name]
    assert find_demonstrations(small_spec(), tmp_path / "c") is None


def actions_in(path: Path) -> list[np.ndarray]:
    """The actions of a file of demonstrations, episode by episode."""
    with TransitionJournal(path, read_only=True) as journal:
        return [block.transitions["actions"] for block in journal.blocks()]


def test_variants_that_see_the_task_otherwise_have_demonstrations_of_their_own(tmp_path):
    task = Task(FOLLOW.env, 1, "tests.benchmarks.learning_runs:Follow")
    ways = [Variant("default", SMALL | changed) for changed in ({}, {"frame_stack": 2}, {"action_repeat": 2})]
    files = [find_demonstrations(small_spec(task=task, how=how), tmp_path) for how in ways[:2]]
    assert files[0] != files[1]
    with pytest.raises(ConfigError, match="without action_repeat"):
        find_demonstrations(small_spec(task=task, how=ways[2]), tmp_path)
