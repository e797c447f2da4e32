"""Environments: tasks over workcells. Importing this package registers its ids with Gymnasium."""

from envs.core import ManipulationEnv
from envs.registration import franka_env, make_env, register_all
from envs.vector import ThreadVectorEnv, make_vec

__all__ = ["ManipulationEnv", "ThreadVectorEnv", "franka_env", "make_env", "make_vec"]

register_all()
