"""A valid request for every route and websocket, and mutations of them that a seed decides."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any, NamedTuple

HOME_POSE = [0.5, 0.0, 0.3, 1.0, 0.0, 0.0, 0.0]
HOME_JOINTS = [0.5, 0.0, 0.3, 3.141592653589793, 0.0, 0.0, 0.0]
_BODY_MAX = 65536

_POSE = {"kind": "pose", "tcp_pose_in_base": HOME_POSE}
_JOINT = {"kind": "joint", "joint_positions_rad": HOME_JOINTS}
_GRIPPER = {"position": 1.0}

BODIES: dict[str, tuple[Any, ...]] = {
    "/v1/step": (
        {"command": _POSE, "gripper": _GRIPPER, "period_s": 0.0},
        {"command": _JOINT, "target_epoch": None},
        {"period_s": 0.0},
    ),
    "/v1/reset": ({"seed": 0}, {"seed": None, "object_poses_in_base": {"block": [0.5, 0.1, 0.02, 0, 0, 0, 1]}}),
    "/v1/clock/advance": ({"period_s": 0.0},),
    "/v1/robot/command": (_POSE, _JOINT),
    "/v1/robot/joint_move": ({"joint_positions_rad": HOME_JOINTS},),
    "/v1/robot/compliance": (
        {"translational_stiffness_n_m": 1000.0, "rotational_ki": 0, "nullspace_stiffness_nm_rad": 0.2},
        {"translational_clip_min_m": [-0.003] * 3, "rotational_clip_max": [0.05, 0.05, 0.05]},
    ),
    "/v1/gripper/move": (_GRIPPER,),
    "/pose": ({"arr": HOME_POSE},),
    "/move_gripper": ({"gripper_pos": 0},),
    "/set_load": ({"mass": 0.0, "F_x_center_load": [0.0, 0.0, 0.0], "load_inertia": [0.0] * 9},),
    "/update_param": ({"translational_stiffness": 2000, "translational_clip_x": 0.006, "rotational_Ki": 0},),
}
"""By route, bodies that ask a fake arm at its start for nothing but what it does."""
MESSAGES: dict[str, tuple[Any, ...]] = {
    "/v1/steps": ({"command": _POSE, "gripper": _GRIPPER, "period_s": 0.0, "seq": 7, "deadline_s": None},
                  {"target_epoch": 1, "command": _JOINT, "seq": 1}),
    "/v1/stream": ({"type": "command", "command": _POSE, "gripper": _GRIPPER, "deadline_s": None},
                   {"type": "command", "command": _JOINT}, {"type": "ack", "seq": 1}),
}  # fmt: skip

ODD_NUMBERS = (
    "NaN", "Infinity", "-Infinity", "1e999", "-1e999", "9" * 400, "-" + "9" * 400, "7" * 5000, "true", "false", '"1"',
    '"\u0661"', '"NaN"', "null", "1e308", "-1e308", "1e-320", "-0.0", "0", "1", "-1", "2", "11", "0.5", "0x1", "1.",
    ".5", "+1", "01", "1_0", "9007199254740993", "18446744073709551616",
)  # fmt: skip
ODD_VALUES = (
    *ODD_NUMBERS, "[]", "{}", "[[]]", "[null]", "[true]", '""', '"pose"', '"joint"', '"command"', '"\\ud800"',
    '"\\u0000"', '"\U0001f916"', "[" * 300 + "]" * 300, '{"a":' * 300 + "1" + "}" * 300, "[" * 5000, "tru", "'x'",
    "[0.5,]", "[1,2,3,4,5,6,7]", "[" + "0," * 70 + "0]", '{"__proto__":1}', '"' + "a" * 5000 + '"',
)  # fmt: skip
ODD_KEYS = ("", "a", "kind", "type", "seq", "period_s", "command", "__class__", "\u0000", "\ud800", "x" * 3000)
ODD_BYTES = (b"\xff", b"\xc3", b"\xed\xa0\x80", b"\x00", b"\xef\xbb\xbf", b"\n", b"}", b"]", b'"', b",", b"\\", b"\x80")

ODD_HEADERS: tuple[tuple[bytes, tuple[bytes, ...]], ...] = (
    (b"content-type", (b"", b"text/plain", b"application/x-www-form-urlencoded", b"multipart/form-data",
                       b"application/json; charset=utf-16", b"\xff\xfe")),
    (b"content-encoding", (b"gzip", b"br", b"\xff")),
    (b"x-robotkit-client", (b"", b"other", b"\xe9\xb2", b"k" * 8000, b"%00%ff")),
    (b"x-robotkit-name", (b"", b"%ff%fe", b"%ED%A0%80", b"n" * 8000, b"\xb2\xff", b"%0d%0aevil: 1", b"%u0000")),
    (b"x-robotkit-protocol", (b"", b"0", b"1", b"2", b"3", b"99999999999999999999", b"-1", b"2.0", b"\xb2", b"two",
                              b"9" * 5000)),
    (b"x-robotkit-deadline", (b"", b"nan", b"inf", b"-inf", b"0", b"-1", b"1e308", b"1e999", b"1_0", b"\xb2", b"soon",
                              b"9" * 5000)),
    (b"x-robotkit-heartbeat", (b"", b"nan", b"inf", b"0", b"-1", b"1e308", b"1e-300", b"\xb2", b"9" * 5000)),
    (b"authorization", (b"", b"Bearer", b"Bearer \xff", b"Basic eA==", b"Bearer " + b"t" * 8000)),
    (b"origin", (b"null", b"http://[", b"http://evil.example", b"\xff", b"http://[::1", b"//", b"http://\xe2\x84\x80")),
    (b"host", (b"", b"[", b"localhost:99999999", b"localhost:x", b"\xff", b"[::1]", b"[v1.x]", b"evil.example")),
    (b"accept", (b"text/html", b"\xff")),
)  # fmt: skip
ODD_QUERIES = (
    b"", b"rate_hz=nan", b"rate_hz=-1", b"rate_hz=1e999", b"rate_hz=%ff", b"rate_hz=", b"rate_hz=1&rate_hz=x",
    b"window=nan", b"window=-1", b"window=1e308", b"window=1e5", b"window=%C2%B2", b"format=tiff", b"format=png",
    b"token=%ff", b"token=" + b"t" * 9000, b"&&&===%%%", b"%00", b"a" * 9000, b";" * 200,
)  # fmt: skip
ODD_METHODS = ("GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "POST", "PROPFIND", "post")


class Pairs(list[tuple[str, Any]]):
    """A JSON object that may have a key twice."""


class Raw(str):
    """Text that stands in the message as it is."""


def mutants(bodies: dict[str, tuple[Any, ...]], seed: int) -> Iterator[Mutant]:
    """Mutated messages without end, each path as often as the others."""
    draw = random.Random(seed)
    paths = sorted(bodies)
    while True:
        for path in paths:
            yield Mutant(path, _mutated(draw, draw.choice(bodies[path])), draw.random() < 0.2)


class Mutant(NamedTuple):
    """One message."""

    path: str
    content: bytes
    is_binary: bool
    """Of a websocket: a binary frame."""


def odd_headers(draw: random.Random) -> list[tuple[bytes, bytes]]:
    """One or two headers with a value that makes no sense."""
    return [(name, draw.choice(values)) for name, values in draw.sample(ODD_HEADERS, draw.randint(1, 2))]


def _mutated(draw: random.Random, body: Any) -> bytes:
    tree = _tree(body)
    for _ in range(draw.choice((0, 1, 1, 1, 2, 3))):
        tree = _changed(draw, tree)
    content = _text(tree).encode("utf-8", "surrogatepass")
    return _damaged(draw, content) if draw.random() < 0.25 else content


def _tree(value: Any) -> Any:
    if isinstance(value, dict):
        return Pairs((key, _tree(item)) for key, item in value.items())
    return [_tree(item) for item in value] if isinstance(value, list) else value


def _changed(draw: random.Random, node: Any) -> Any:
    """`node` with one change, somewhere inside."""
    if isinstance(node, list) and node and draw.random() < 0.8:
        place = draw.randrange(len(node))
        changed = type(node)(node)
        if isinstance(node, Pairs):
            key, item = node[place]
            changed[place : place + 1] = _changed_field(draw, key, item)
        else:
            changed[place : place + 1] = _changed_item(draw, node[place])
        return changed
    return draw.choice((_odd(draw, node), [node], Pairs([(draw.choice(ODD_KEYS), node)])))


def _changed_field(draw: random.Random, key: str, item: Any) -> list[tuple[str, Any]]:
    kind = draw.randrange(8)
    odd = _odd(draw, item)
    if kind == 0:
        return []
    if kind == 1:
        return [(key, odd), (key, item)] if draw.random() < 0.5 else [(key, item), (key, odd)]
    if kind == 2:
        return [(key, item), (draw.choice(ODD_KEYS), odd)]
    if kind == 3:
        return [(draw.choice((key.upper(), key + " ", *ODD_KEYS)), item)]
    return [(key, _changed(draw, item))]


def _changed_item(draw: random.Random, item: Any) -> list[Any]:
    kind = draw.randrange(6)
    if kind == 0:
        return []
    if kind == 1:
        return [item] * draw.choice((2, 3, 65, 200))
    if kind == 2:
        return [[item]]
    return [_changed(draw, item)]


def _odd(draw: random.Random, value: Any) -> Raw:
    is_number = isinstance(value, int | float)
    return Raw(draw.choice(ODD_NUMBERS if is_number and draw.random() < 0.7 else ODD_VALUES))


def _text(node: Any) -> str:
    if isinstance(node, Raw):
        return node
    if isinstance(node, Pairs):
        return "{" + ",".join(f"{json.dumps(key)}:{_text(item)}" for key, item in node) + "}"
    return "[" + ",".join(map(_text, node)) + "]" if isinstance(node, list) else json.dumps(node)


def _damaged(draw: random.Random, content: bytes) -> bytes:
    """`content` with bytes that are cut, changed, or too many."""
    place = draw.randrange(len(content) + 1)
    kind = draw.randrange(7)
    if kind == 0:
        return content[:place]
    if kind == 1 and place < len(content):
        return content[:place] + bytes([content[place] ^ 1 << draw.randrange(8)]) + content[place + 1 :]
    if kind == 2:
        return content + content
    if kind == 3 and draw.random() < 0.2:  # around the largest that is read
        return content + b" " * max(0, _BODY_MAX + draw.choice((-1, 0, 1)) - len(content))
    if kind == 4:
        return content.decode("utf-8", "replace").encode(draw.choice(("utf-16", "utf-32", "utf-8-sig", "utf-7")))
    return content[:place] + draw.choice(ODD_BYTES) + content[place:]
