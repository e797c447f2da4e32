"""What a message must look like to be a command, written a second time: in plain Python, without pydantic and numpy."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable
from typing import Any

JOINTS = 7
BRACKETS_MAX = 100
"""More than any message that means something."""
PARAMETERS = {
    "translational_stiffness_n_m": 5000.0,
    "translational_damping_ns_m": 500.0,
    "translational_ki": 100.0,
    "rotational_stiffness_nm": 500.0,
    "rotational_damping_nms_rad": 100.0,
    "rotational_ki": 100.0,
    "nullspace_stiffness_nm_rad": 100.0,
    "joint1_nullspace_factor": 100.0,
}
SERL_PARAMETERS = {
    "translational_stiffness": 5000.0,
    "translational_damping": 500.0,
    "translational_Ki": 100.0,
    "rotational_stiffness": 500.0,
    "rotational_damping": 100.0,
    "rotational_Ki": 100.0,
    "nullspace_stiffness": 100.0,
    "joint1_nullspace_stiffness": 100.0,
} | {
    f"{kind}_clip_{end}{axis}": widest
    for kind, widest in (("translational", 0.5), ("rotational", 1.0))
    for end in ("", "neg_")
    for axis in "xyz"
}

Check = Callable[[Any], bool]


def is_valid(path: str, content: bytes) -> bool:
    """True when a body, or a message of the websocket at `path`, may be carried out; without a body it always may."""
    check = CHECKS.get(path)
    if check is None:
        return True
    if content.count(b"[") + content.count(b"{") > BRACKETS_MAX:
        return False
    try:
        return check(_read(content))
    except (ValueError, RecursionError):
        return False


def is_answered(path: str, content: bytes) -> bool | None:
    """True when a stopped arm's websocket answers a message with an error or a state; None when time decides that."""
    if path != "/v1/stream" or not is_valid(path, content):
        return True
    message = _read(content)
    return None if message.get("deadline_s") is not None else bool(message.get("command"))


def _read(content: bytes) -> Any:
    found = json.loads(content.decode("utf-8"), object_pairs_hook=Fields)
    json.dumps(found, ensure_ascii=False).encode()
    return found


class Fields(dict[str, Any]):
    """An object, of which the last field of a name counts."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        json.dumps(pairs, ensure_ascii=False).encode()  # a lone surrogate is no text, also where it does not count
        self.pairs = pairs
        super().__init__(pairs)


def number(low: float = -math.inf, high: float = math.inf) -> Check:
    return lambda x: type(x) in (int, float) and abs(x) <= sys.float_info.max and low <= x <= high


def integer(low: float = -math.inf) -> Check:
    return lambda x: type(x) is int and number(low)(x)


def optional(check: Check) -> Check:
    return lambda x: x is None or check(x)


NUMBER = number()


def vector(size: int, check: Check = NUMBER) -> Check:
    return lambda x: type(x) is list and len(x) == size and all(map(check, x))


def fields(required: dict[str, Check], optionals: dict[str, Check] | None = None) -> Check:
    known = required | (optionals or {})
    return lambda x: type(x) is Fields and required.keys() <= x.keys() <= known.keys() and all(
        known[name](value) for name, value in x.items()
    )  # fmt: skip


def either(key: str, **kinds: Check) -> Check:
    def check(x: Any) -> bool:
        kind = x.get(key) if type(x) is Fields else None
        return type(kind) is str and kind in kinds and kinds[kind](Fields([(k, v) for k, v in x.items() if k != key]))

    return check


def _length(numbers: list[float]) -> float:
    return math.hypot(*(float(x) for x in numbers))


def pose(x: Any) -> bool:
    return vector(7)(x) and abs(_length(x[3:]) - 1.0) <= 1e-3


def serl_pose(x: Any) -> bool:
    return vector(7)(x) and math.sqrt(0.5) <= _length(x[3:]) <= 1.001


_COMMAND = either(
    "kind", pose=fields({"tcp_pose_in_base": pose}), joint=fields({"joint_positions_rad": vector(JOINTS)})
)
_GRIPPER = fields({"position": number(0.0, 1.0)})
_STEP = {
    "command": optional(_COMMAND),
    "gripper": optional(_GRIPPER),
    "period_s": number(0.0, 10.0),
    "target_epoch": optional(integer(0)),
}
_DEADLINE = {"deadline_s": optional(number())}
_CLIPS = {
    "translational_clip_min_m": vector(3, number(-0.5, 0.0)),
    "translational_clip_max_m": vector(3, number(0.0, 0.5)),
    "rotational_clip_min": vector(3, number(-1.0, 0.0)),
    "rotational_clip_max": vector(3, number(0.0, 1.0)),
}  # fmt: skip


def table(check: Check) -> Check:
    """Of fields with any name; each is read, also one that comes twice."""
    return lambda x: type(x) is Fields and all(check(value) for _, value in x.pairs)


CHECKS: dict[str, Check] = {
    "/v1/step": fields({}, _STEP),
    "/v1/steps": fields({}, _STEP | _DEADLINE | {"seq": integer(0)}),
    "/v1/stream": either(
        "type",
        command=fields({}, {"command": _STEP["command"], "gripper": _STEP["gripper"]} | _DEADLINE),
        ack=fields({"seq": integer()}),
    ),
    "/v1/reset": fields({}, {"seed": optional(integer(0)), "object_poses_in_base": table(pose)}),
    "/v1/clock/advance": fields({"period_s": number(0.0, 10.0)}),
    "/v1/robot/command": _COMMAND,
    "/v1/robot/joint_move": fields({"joint_positions_rad": vector(JOINTS)}),
    "/v1/robot/compliance": fields({}, {name: number(0.0, high) for name, high in PARAMETERS.items()} | _CLIPS),
    "/v1/gripper/move": _GRIPPER,
    "/pose": fields({"arr": serl_pose}),
    "/move_gripper": fields({"gripper_pos": number()}),
    "/set_load": fields({"mass": number(0.0, 20.0), "F_x_center_load": vector(3)}, {"load_inertia": vector(9)}),
    "/update_param": lambda x: (
        fields({}, {name: number(0.0, high) for name, high in SERL_PARAMETERS.items()})(x) and table(number())(x)
    ),
}
