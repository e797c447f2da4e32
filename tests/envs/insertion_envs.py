"""Insertion environments without their ids, and how the tests run an expert in them."""

from __future__ import annotations

import robotkit as rk
from envs.core import ManipulationEnv
from envs.tasks.cable_routing import CABLE
from envs.tasks.franka import franka_actions
from envs.tasks.insertion import Insertion
from envs.tasks.pcb_insertion import PCB
from envs.tasks.peg_insertion import PEG
from envs.tasks.ram_insertion import RAM

TASKS = {
    "peg": ("mujoco-peg-insertion", PEG),
    "pcb": ("mujoco-pcb-insertion", PCB),
    "cable": ("mujoco-cable-routing", CABLE),
    "ram": ("mujoco-ram-insertion", RAM),
}
"""Cell and numbers of every insertion task."""


def insertion_env(cell, config, **overrides):
    workcell = rk.make_workcell(cell, **overrides)
    return ManipulationEnv(workcell, Insertion(config), franka_actions(config), owns_workcell=True)


def play(env, expert, seed, steps=100, options=None):
    """Let the expert act until the task is done: success, return, and the number of steps."""
    observation, info = env.reset(seed=seed, options=options)
    expert.reset(observation)
    total, step, terminated = 0.0, 0, False
    while not terminated and step < steps:
        action = expert.act(observation)
        assert action in env.action_space
        observation, reward, terminated, _, info = env.step(action)
        assert observation in env.observation_space
        total, step = total + float(reward), step + 1
    return info["success"], total, step
