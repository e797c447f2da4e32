"""Settings that name files or bounds are read the same way wherever they are given."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rl import SAC
from rl.config import light_config
from rl.errors import ConfigError
from rl.training.settings import make_config, paths_of, with_settings
from tests.rl.training.small_agents import ENV


@pytest.mark.parametrize(
    "files", ["a.sqlite", Path("a.sqlite"), ["a.sqlite"], (Path("a.sqlite"),), {"a.sqlite"}, np.array(["a.sqlite"])]
)
def test_one_file_is_a_list_of_one(files: Any):
    assert paths_of("demos", files) == (Path("a.sqlite"),)
    assert with_settings(light_config("sac"), {"from_demos": files}).from_demos == (Path("a.sqlite"),)


def test_what_a_glob_finds_is_taken(tmp_path: Path):
    for name in ("b.sqlite", "a.sqlite"):
        (tmp_path / name).touch()
    found = make_config("sac", None, ENV, 0, "cpu", (), None, {"from_demos": tmp_path.glob("*.sqlite")})
    assert sorted(found.from_demos) == sorted(found.replay.demos) == [tmp_path / "a.sqlite", tmp_path / "b.sqlite"]
    assert found.random_steps == 0
    nothing = make_config("sac", None, ENV, 0, "cpu", tmp_path.glob("*.none"), None, {"from_demos": iter(())})
    assert (nothing.from_demos, nothing.replay.demos, nothing.random_steps) == ((), (), 500)


@pytest.mark.parametrize("base", ["ws://127.0.0.1:8000", "runs/a", "tests.support.base_experts:nobody"])
def test_a_base_is_named_as_it_is_written(base: str):
    assert with_settings(light_config("sac"), {"base": base}).base == base
    assert with_settings(light_config("sac"), {"base": Path("runs/a")}).base == "runs/a"


@pytest.mark.parametrize("scale", [0.1, [0.1], (0.1,), np.array([0.1]), np.float64(0.1)])
def test_one_bound_is_a_list_of_one(scale: Any):
    assert with_settings(light_config("sac"), {"residual_scale": scale}).residual.scale == (0.1,)


@pytest.mark.parametrize("value", [3, True, [3], {"a.sqlite": 1}, b"a.sqlite", ["a.sqlite", None]])
@pytest.mark.parametrize("name", ["demos", "from_demos"])
def test_what_names_no_files_is_refused(name: str, value: Any):
    with pytest.raises(ConfigError, match=rf"^{name} must be the path of a file or a list of paths, not "):
        SAC(ENV, **{name: value})


@pytest.mark.parametrize("name", ["base", "reward_classifier"])
def test_what_is_no_path_is_refused(name: str):
    with pytest.raises(ConfigError, match=rf"^{name} must be a path, not 3"):
        SAC(ENV, **{name: 3})  # type: ignore[arg-type]


@pytest.mark.parametrize("value", ["x", [], True, [True], [0.1, "x"], object()])
def test_what_is_no_bound_of_a_correction_is_refused(value: Any):
    with pytest.raises(
        ConfigError, match=r"^residual_scale must be a number, or one for each number of an action, not "
    ):
        SAC(ENV, base="tests.support.base_experts:nobody", residual_scale=value)
