"""Options of a MuJoCo world, and the model that they ask for."""

from __future__ import annotations

import warnings
from typing import Any, Literal

from pydantic import Field

from robotkit.schema import PluginConfig
from sims.models import MassSet, ModelName, arms_spec
from sims.randomisation import Randomisation
from sims.scenes import Scene


class MujocoWorldConfig(PluginConfig):
    """Options of the world `mujoco`."""

    scene: str = "pick-cube"
    scene_options: dict[str, Any] = Field(default_factory=dict)
    """Choices that the scene itself offers, such as `{"clearance_m": 0.0003}` of "peg-insertion"."""
    randomisation: Randomisation = Randomisation()
    """Ranges of what a reset varies by chance; by default nothing."""
    arm: str | None = None
    """The arm of the scene that stands in this cell; None where the scene has one. The cells of the others can share
    the world: `make_workcell_in`."""
    model: ModelName = "primitive"
    """"menagerie" shows the robot's meshes; it needs `robotkit[menagerie]`."""
    masses: MassSet = "serl_2.3.7"
    """MuJoCo release whose mesh-derived gripper masses are used: the one that SERL pins, or 3.x."""
    physics_dt_s: float = Field(0.002, gt=0.0, le=0.01)
    render: Literal["fast", "pretty"] = "fast"
    """"pretty" has shadows and smooth edges, which cost a CPU twenty times as much."""


def compile_model(scene: Scene, config: MujocoWorldConfig) -> Any:
    """Build arm and scene, and compile them with the options of `config`."""
    spec = arms_spec(scene.bases_in_world, config.model, config.masses)
    scene.add_to_spec(spec, scene.options(config.scene_options))
    spec.option.timestep = config.physics_dt_s
    if config.render == "fast":
        # Round things need few facets in small images; multi-sampling alone would double the time without a GPU.
        quality = spec.visual.quality
        quality.offsamples, quality.numslices, quality.numstacks = 0, 16, 8
    with warnings.catch_warnings():
        # The attached gripper keeps its own names, as SERL's sensors need them; nobody saves this model.
        warnings.filterwarnings("ignore", "Attaching a spec with an empty prefix")
        return spec.compile()
