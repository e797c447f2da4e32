"""Laws of the descriptions of spaces: equal ones for equal spaces, and each leads back to its space."""

import json

import gymnasium as gym
import numpy as np
import pytest

from rl.data.spaces import describe_space, describe_spaces, differences, space_of
from rl.errors import ConfigError, DataError
from tests.rl.data.transitions import ACTIONS, IMAGES, OBSERVATIONS


def test_equal_spaces_have_equal_descriptions():
    box = gym.spaces.Box
    assert describe_space(box(-1, 1, (3,))) == describe_space(box(np.full(3, -1, np.float32), np.ones(3, np.float32)))
    spaces = [
        box(-1, 1, (3,)),
        box(-1, 1, (3, 1)),
        box(-np.inf, 1, (3,)),
        box(-1, 1, (3,), np.float64),
        gym.spaces.Discrete(3),
        gym.spaces.MultiBinary(3),
        gym.spaces.MultiDiscrete([3, 2]),
        gym.spaces.Dict(state=box(-1, 1, (3,))),
    ]
    descriptions = [describe_space(space) for space in spaces]
    assert all(left != right for i, left in enumerate(descriptions) for right in descriptions[:i])


def test_what_differs_between_spaces_is_named_and_nothing_else():
    box = gym.spaces.Box
    found = describe_spaces(gym.spaces.Dict(state=box(-1, 1, (10,)), front=box(0, 255, (8, 8, 3), np.uint8)), ACTIONS)
    wanted = describe_spaces(gym.spaces.Dict(state=box(-1, 1, (30,)), wrist=box(0, 255, (8, 8, 3), np.uint8)), ACTIONS)
    assert differences(found, found) == []
    assert differences(found, wanted) == [
        "observation_space/front is uint8[8, 8, 3] from 0 to 255; wanted: missing",
        "observation_space/state is float32[10] from -1.0 to 1.0; wanted: float32[30] from -1.0 to 1.0",
        "observation_space/wrist is missing; wanted: uint8[8, 8, 3] from 0 to 255",
    ]


def test_spaces_that_are_counted_are_told_apart_by_their_counts():
    counted = [gym.spaces.Discrete(3), gym.spaces.Discrete(3, start=1), gym.spaces.MultiDiscrete([3, 2])]
    assert describe_space(counted[1]) == {"kind": "Discrete", "n": 3, "start": 1}
    one, other, several = ({"action_space": describe_space(space)} for space in counted)
    assert differences(one, one) == []
    assert differences(one, several) == ["action_space is Discrete(3); wanted: MultiDiscrete([3, 2])"]
    assert len(differences(one, other)) == 1
    bounded = {"action_space": describe_space(gym.spaces.Box(np.array([-1.0, 0.0]), np.ones(2), dtype=np.float64))}
    assert differences(bounded, one) == ["action_space is float64[2] from … to 1.0; wanted: Discrete(3)"]
    with pytest.raises(ConfigError, match="Text"):
        describe_space(gym.spaces.Text(3))


def test_a_described_space_is_that_space_again():
    spaces = [
        gym.spaces.Box(np.array([-1.0, -np.inf, 0.0], np.float32), np.ones(3, np.float32)),
        gym.spaces.Box(-np.inf, np.inf, (2, 2)),
        gym.spaces.Box(-2.0, np.array([[1.0, 2.0], [3.0, 4.0]]), (2, 2), np.float64),
        gym.spaces.Dict(inner=gym.spaces.Dict(wrist=gym.spaces.Box(0, 255, (2, 2, 3), np.uint8)), state=OBSERVATIONS),
        IMAGES,
    ]
    for space in spaces:
        assert space_of(json.loads(json.dumps(describe_space(space)))) == space
    for wrong in ({"kind": "Discrete", "n": 3}, {"kind": "Box", "shape": [2]}, {}, {"kind": "Box", "shape": 3}):
        with pytest.raises(DataError):
            space_of(wrong)
