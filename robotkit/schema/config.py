"""The content of a workcell file."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from robotkit.schema.limits import SafetyLimits
from robotkit.schema.message import Message


class PluginConfig(Message):
    """Base of the options that a plugin takes; each plugin class carries its own subclass as `Config`."""


class PluginRef(Message):
    """A plugin's registered name and its options, still unchecked: the plugin's own `Config` validates them."""

    type: str
    options: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _gather_options(cls, value: Any) -> Any:
        """Gather the options: each key beside `type`, as in `[robot]`, `type = "franka"`, `host = "172.16.0.2"`."""
        if isinstance(value, dict) and "options" not in value:
            return {"type": value.get("type"), "options": {k: v for k, v in value.items() if k != "type"}}
        return value


class WorkcellConfig(Message):
    """The devices of one cell."""

    name: str = Field(min_length=1)
    clock: Literal["real", "lockstep"] = "real"
    """"real": time is the wall's. "lockstep": time passes only when `advance` is called (simulated worlds)."""
    world: PluginRef | None = None
    """The world that several devices share, such as a simulation."""
    robot: PluginRef
    gripper: PluginRef | None = None
    cameras: dict[str, PluginRef] = Field(default_factory=dict)
    trackers: dict[str, PluginRef] = Field(default_factory=dict)
    limits: SafetyLimits = Field(default_factory=SafetyLimits)

    @model_validator(mode="before")
    @classmethod
    def _refuse_what_moved(cls, value: Any) -> Any:
        if isinstance(value, dict) and "serl_gripper" in value:
            option = str(value["serl_gripper"]).replace("_", "-")
            raise ValueError(
                "serl_gripper is an option of the server: remove it from the workcell, and start the server with "
                f"robotkit-serve --serl-gripper {option}"
            )
        return value
