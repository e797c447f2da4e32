"""Nothing that happened within a macro step is lost, whichever wrapper takes it."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest

from envs.wrappers import ActionRepeat, ChunkingWrapper
from rl.wrappers.repeat_action import RepeatAction
from tests.envs.scripted_env import ScriptedEnv

HAND = np.array([0.25, -0.25], np.float32)
POLICY = np.array([[0.1, 0.2], [0.3, 0.4], [0.5, 0.6]], np.float32)


class Eventful(gymnasium.Wrapper[Any, Any, Any, Any]):
    """A hand steers some of the steps, every step moves the fingers, and the second one alone is a success."""

    def __init__(self, steered: tuple[int, ...], length: int = 6) -> None:
        super().__init__(ScriptedEnv(length))
        self._steered = steered

    def step(self, action: Any) -> Any:
        *result, info = self.env.step(action)
        number = len(self.unwrapped.taken)
        info |= {"grasp_penalty": -0.02, "gripper_changed": number == 1, "success": number == 2, "overrun_s": 0.5}
        if number in self._steered:
            info["intervene_action"] = HAND * number
        return *result, info


WRAPPERS = [lambda env: ActionRepeat(env, 3), lambda env: RepeatAction(env, 3), lambda env: ChunkingWrapper(env, 1, 3)]


@pytest.mark.parametrize("wrap", WRAPPERS)
def test_r2_penalties_are_summed_and_what_happened_on_the_way_is_told(wrap):
    env = wrap(Eventful(()))
    env.reset()
    info = env.step(POLICY if isinstance(env, ChunkingWrapper) else POLICY[0])[4]
    assert info["grasp_penalty"] == pytest.approx(-0.06)
    assert info["overrun_s"] == pytest.approx(1.5)
    assert (info["success"], info["gripper_changed"]) == (True, True)
    assert "intervene_action" not in info


@pytest.mark.parametrize("steered", [(1,), (2,), (1, 2, 3), (3,)])
def test_r2_a_chunk_tells_what_was_done_in_the_shape_of_its_actions(steered):
    env = ChunkingWrapper(Eventful(steered), 1, 3)
    env.reset()
    done = env.step(POLICY)[4]["intervene_action"]
    assert done in env.action_space
    for number in (1, 2, 3):
        np.testing.assert_array_equal(done[number - 1], HAND * number if number in steered else POLICY[number - 1])


def test_r2_a_chunk_that_ends_early_and_one_plain_action_have_their_shape_too():
    env = ChunkingWrapper(Eventful((1,), length=2), 1, 3)
    env.reset()
    np.testing.assert_array_equal(env.step(POLICY)[4]["intervene_action"], [HAND, *POLICY[1:]])
    plain = ChunkingWrapper(Eventful((1,)), 2)
    plain.reset()
    np.testing.assert_array_equal(plain.step(POLICY[0])[4]["intervene_action"], HAND)


class Steady(Eventful):
    """The hand does the same thing in every step."""

    def step(self, action: Any) -> Any:
        *result, info = super().step(action)
        return *result, {**info, "intervene_action": HAND} if "intervene_action" in info else info


@pytest.mark.parametrize("wrap", WRAPPERS[:2])
@pytest.mark.parametrize(("env", "is_torn"), [(Steady((1, 2, 3)), False), (Steady((2, 3)), True),
                                              (Steady((1,)), True), (Eventful((1, 2, 3)), True)])  # fmt: skip
def test_r2_a_repeated_action_that_was_not_one_action_is_torn(wrap, env, is_torn):
    repeated = wrap(env)
    repeated.reset()
    info = repeated.step(POLICY[0])[4]
    assert info.get("is_torn", False) == is_torn
    assert info["intervene_action"] in repeated.action_space
