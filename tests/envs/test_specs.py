"""A wrapped environment's spec makes the same environment again, each wrapper with the arguments that it had."""

from __future__ import annotations

import gymnasium
import pytest

from envs.wrappers import (
    ChunkingWrapper,
    FrontCamera,
    GripperClose,
    Quat2Euler,
    RelativeFrame,
    Remap,
    SERLObsWrapper,
    ZOnly,
)
from envs.wrappers.action_axes import ActionAxes
from envs.wrappers.action_repeat import ActionRepeat
from tests.envs.cells import made

WRAPPERS = {
    "as it is": lambda env: env,
    "axes": lambda env: ActionAxes(env, (0, 2)),
    "repeat": lambda env: ActionRepeat(env, 3),
    "chunks": lambda env: ChunkingWrapper(env, obs_horizon=2, act_exec_horizon=3),
    "closed": GripperClose,
    "euler": Quat2Euler,
    "relative": lambda env: RelativeFrame(env, relative_pose=False),
    "flat": lambda env: SERLObsWrapper(env, ("tcp_vel", "tcp_pose")),
    "z": ZOnly,
    "renamed": lambda env: Remap(env, {"here": "state"}),
    "one camera": lambda env: FrontCamera(env, "wrist"),
}


@pytest.mark.parametrize("wrap", WRAPPERS.values(), ids=WRAPPERS)
def test_a_spec_makes_the_same_stack_again(wrap):
    with made("FrankaReachPoseVision-v0", cell="fake") as plain:
        env = wrap(plain)
        again = gymnasium.make(env.spec)
        try:
            assert str(again) == str(env)
            assert (again.observation_space, again.action_space) == (env.observation_space, env.action_space)
            assert again.spec.additional_wrappers == env.spec.additional_wrappers
        finally:
            again.close()
