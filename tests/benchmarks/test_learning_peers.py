"""Peers of the learning benchmark: they see what our agents see, are evaluated as those are, and are no dependency."""

from __future__ import annotations

from importlib.metadata import version
from importlib.util import find_spec
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from benchmarks.learning.campaign import run_table
from benchmarks.learning.peers import sb3, sbx
from benchmarks.learning.peers.packages import REQUIREMENTS, find_pins, require_packages
from benchmarks.learning.tables import TABLES, list_runs
from benchmarks.learning.tasks import Task
from benchmarks.learning.variants import OWN_RUNNER, VARIANTS, Variant, make_config
from rl.errors import ConfigError, MissingExtra
from rl.wrappers.make_env import make_env
from tests.benchmarks.learning_runs import FOLLOW, small_spec
from tests.rl.training.small_agents import one_thread

__all__ = ["one_thread"]

PEERS = {name: variant for name, variant in VARIANTS.items() if variant.runner != OWN_RUNNER}
ALONE = TABLES["pick-cube-state-alone"]

INSTALLS = "pip install -r benchmarks/learning/peers/requirements.txt"
HAS_SB3, HAS_SBX = (find_spec(name) is not None for name in ("sb3_contrib", "sbx"))
needs_sb3, needs_sbx = (
    pytest.mark.skipif(not has, reason=f"an optional peer is not installed: {INSTALLS}") for has in (HAS_SB3, HAS_SBX)
)
lets_jax_import = pytest.mark.filterwarnings("ignore:jax.core:DeprecationWarning:tensorflow_probability")


def small_run(
    algorithm: str, runner: ModuleType = sb3, learning_rate: float = 3e-4, **changes: Any
) -> list[tuple[Any, ...]]:
    """The evaluations of a peer in seconds, without what depends on the machine."""
    options = {"gamma": 0.9, "frame_stack": 2, "learning_rate": learning_rate}
    spec = small_spec(how=Variant(algorithm, options), **{"steps": 120, "grid": (0, 110, 120), **changes})
    return [(one.env_steps, one.returns, one.successes) for one in runner.run(spec)]


@pytest.mark.parametrize(
    ("runner", "algorithm"),
    [
        *(pytest.param(sb3, algorithm, marks=needs_sb3) for algorithm in ("SAC", "TQC", "CrossQ")),
        *(pytest.param(sbx, algorithm, marks=(needs_sbx, lets_jax_import)) for algorithm in ("SAC", "CrossQ")),
    ],
)
def test_a_peer_is_evaluated_at_the_steps_of_the_grid_and_learns_nothing_from_it(runner, algorithm):
    often, seldom = small_run(algorithm, runner), small_run(algorithm, runner, grid=(120,))
    assert [steps for steps, _, _ in often] == [0, 110, 120]
    assert all(len(returns) == len(successes) == 3 for _, returns, successes in often)
    assert often[0] != often[-1]
    assert often[-1] == seldom[-1]


@needs_sb3
def test_a_peer_learns_and_is_evaluated_with_what_it_has_learned():
    before, after = small_run("SAC", learning_rate=3e-3, steps=300, grid=(0, 300), episodes=10)
    assert np.mean(after[1]) > 8.0 > np.mean(before[1])


@needs_sb3
def test_equal_seeds_of_a_peer_give_equal_evaluations_and_other_seeds_others():
    first, again, other = (small_run("SAC", seed=seed) for seed in (3, 3, 4))
    assert first == again
    assert first[-1] != other[-1]


def test_a_peer_sees_what_our_agent_sees_and_acts_in_the_same_range():
    config = make_config(VARIANTS[ALONE.variants[0]], FOLLOW, 0, ALONE.steps)
    for variant in PEERS.values():
        assert sb3.observed(variant) == config.adaptation()
        assert variant.options["gamma"] == config.agent.discount
    env = make_env(FOLLOW.env, adaptation=sb3.observed(PEERS["sb3-sac"]))
    assert env.observation_space.shape == (3 * 2,)
    assert env.action_space == make_env(FOLLOW.env).action_space


def test_peers_learn_in_tables_without_demonstrations_alone():
    for name in TABLES:
        assert not [run.name for run in list_runs(name) if run.variant in PEERS and run.task.demonstrations]
    with pytest.raises(ConfigError, match="cannot learn from demonstrations"):
        sb3.run(small_spec(how=PEERS["sb3-sac"], task=Task(FOLLOW.env, 1)))


def test_an_algorithm_that_the_library_lacks_is_refused_with_those_that_it_has():
    with pytest.raises(ConfigError, match="no algorithm 'PPO'; it has SAC, TQC, CrossQ"):
        sb3.run(small_spec(how=Variant("PPO")))


def test_the_requirements_pin_every_package_of_a_peer_and_no_other():
    named = {package for variant in PEERS.values() for package in variant.packages}
    lines = REQUIREMENTS.read_text().splitlines()
    assert named == {line.partition("==")[0] for line in lines if not line.startswith("#")}
    with pytest.raises(ConfigError, match=r"requirements\.txt has no version of not-there"):
        find_pins(["not-there"])


def test_a_missing_or_another_version_of_a_library_is_named_with_the_line_that_installs_it(tmp_path):
    pins = tmp_path / "requirements.txt"
    pins.write_text(f"# peers\nnot-there==1.0\npytest==0.1\nnumpy=={version('numpy')}\n")
    require_packages(["numpy"], pins)
    with pytest.raises(MissingExtra, match=rf"with not-there 1\.0, and it is not installed: {INSTALLS}"):
        require_packages(["numpy", "not-there"], pins)
    with pytest.raises(MissingExtra, match=rf"with pytest 0\.1, and {version('pytest')} is installed: {INSTALLS}"):
        require_packages(["pytest"], pins)


@pytest.mark.skipif(HAS_SB3, reason="the peer is installed")
def test_a_table_whose_peer_is_missing_is_refused_before_anything_is_trained(tmp_path):
    with pytest.raises(MissingExtra, match=r"and it is not installed: pip install .*, or name the variants"):
        run_table("pick-cube-state-alone", 1, tmp_path)
    assert not list(tmp_path.glob("*.jsonl"))
