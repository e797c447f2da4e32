"""P12: every dependency has one lower bound, which `make test-lowest` installs."""

from __future__ import annotations

import pytest

from tests.lowest_versions import PYPROJECT, SELECTION, constraints, requirements


def test_p12_every_requirement_has_one_lowest_version():
    lines = constraints(requirements())
    names = [line.partition("==")[0] for line in lines]
    assert len(names) == len(set(names))
    assert {"numpy", "torch", "mujoco", "pytest"} <= set(names)
    assert not {"mypy", "ruff", "mkdocs", "robotkit"} & set(names)


@pytest.mark.parametrize(
    ("asked", "lowest"),
    [
        ("numpy>=1.26", "numpy==1.26"),
        ("imageio[ffmpeg]>=2.34", "imageio==2.34"),
        ("mujoco>=3.3.6,!=4.0.0", "mujoco==3.3.6"),
        ("opencv-python-headless!=5.0.0.*,>=4.8.0.76", "opencv-python-headless==4.8.0.76"),
        ("uvloop>=0.21; sys_platform != 'win32'", "uvloop==0.21; sys_platform != 'win32'"),
        ("franky-sim==1.0.4", "franky-sim==1.0.4"),
    ],
)
def test_the_lowest_version_of_a_requirement(asked: str, lowest: str):
    assert constraints([asked, asked]) == [lowest]


@pytest.mark.parametrize("asked", [["numpy"], ["numpy<2"], ["numpy>1.26"], ["numpy>=1.26", "numpy>=2.0"]])
def test_no_bound_and_two_bounds_are_refused(asked: list[str]):
    with pytest.raises(ValueError, match="lower bound"):
        constraints(asked)


def test_what_is_selected_is_there():
    assert all((PYPROJECT.parent / "tests" / path).exists() for path in SELECTION)
