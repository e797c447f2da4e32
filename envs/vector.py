"""Many environments in one process, stepped by threads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space, concatenate, create_empty_array

from robotkit import InvalidConfiguration, Workcell

ResultT = TypeVar("ResultT")
Step = tuple[Any, float, bool, bool, dict[str, Any]]


def make_vec(
    id: str, n: int, threads: int = 1, autoreset_mode: AutoresetMode = AutoresetMode.SAME_STEP, **kwargs: Any
) -> ThreadVectorEnv:
    """Build `n` environments of one id, stepped by `threads` threads.

    Physics runs with the interpreter lock released, so threads scale where processes would spend their gain on pipes.

    Args:
        id: as for `gymnasium.make`.
        n: number of environments.
        threads: number of threads; more than `n` are not started.
        autoreset_mode: see `ThreadVectorEnv`.
        **kwargs: for `gymnasium.make`.

    Raises:
        InvalidConfiguration: as `ThreadVectorEnv`, or one built cell was given to several environments.
    """
    if n > 1 and isinstance(kwargs.get("cell"), Workcell):
        raise InvalidConfiguration(f"{n} environments cannot act in one cell; give the name or file of a cell instead")
    options = {"disable_env_checker": True, **kwargs}
    return ThreadVectorEnv([lambda: gymnasium.make(id, **options)] * n, threads, autoreset_mode)


class ThreadVectorEnv(VectorEnv[Any, np.ndarray, np.ndarray]):
    """A vector environment whose environments each belong to one thread, from construction to `close()`.

    A fixed thread per environment matters for cameras: a GL context may only be used where it was made.

    With `AutoresetMode.SAME_STEP` the step in which an episode ends returns the first observation of the next one, and
    `infos["final_obs"]` and `infos["final_info"]` hold the end of the old one; no step is spent on a reset. With
    `NEXT_STEP`, which some of Gymnasium's wrappers need, such as `NormalizeObservation`, it returns the last
    observation, and the step after it resets the environment, ignores its action and pays 0.

    Args:
        env_fns: one constructor an environment; the spaces of all must be equal.
        threads: number of threads.
        autoreset_mode: SAME_STEP or NEXT_STEP.

    Raises:
        InvalidConfiguration: no environment, no thread, another mode, or spaces that differ.
    """

    def __init__(
        self,
        env_fns: Sequence[Callable[[], gymnasium.Env[Any, Any]]],
        threads: int = 1,
        autoreset_mode: AutoresetMode = AutoresetMode.SAME_STEP,
    ) -> None:
        if autoreset_mode not in (AutoresetMode.SAME_STEP, AutoresetMode.NEXT_STEP):
            raise InvalidConfiguration(
                f"an episode that ended begins anew in SAME_STEP or NEXT_STEP, not {autoreset_mode}"
            )
        if not env_fns or threads < 1:
            raise InvalidConfiguration(f"a vector environment needs environments and threads, got {len(env_fns)} "
                                       f"environments on {threads} threads")  # fmt: skip
        self.num_envs = len(env_fns)
        self._resets_next = autoreset_mode == AutoresetMode.NEXT_STEP
        self._has_ended = [False] * self.num_envs
        self._autoreset_mode = autoreset_mode
        self._chunks = np.array_split(np.arange(self.num_envs), min(threads, self.num_envs))
        self._workers = [ThreadPoolExecutor(1, thread_name_prefix="envs") for _ in self._chunks]
        self.envs: list[gymnasium.Env[Any, Any]] = []
        try:
            self.envs = self._map(lambda index: env_fns[index]())
            self._describe()
        except BaseException:
            self.close()
            raise

    def _describe(self) -> None:
        first = self.envs[0]
        for env in self.envs:
            if (env.observation_space, env.action_space) != (first.observation_space, first.action_space):
                raise InvalidConfiguration("every environment of a vector must have the same spaces")
        self.metadata = {**first.metadata, "autoreset_mode": self._autoreset_mode}
        self.render_mode = first.render_mode
        self.spec = first.spec
        self.single_observation_space, self.single_action_space = first.observation_space, first.action_space
        self.observation_space = batch_space(first.observation_space, self.num_envs)
        self.action_space = batch_space(first.action_space, self.num_envs)

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Reset every environment.

        Args:
            seed: one number, of which environment i takes `seed + i`; or one seed an environment.
            options: for every environment's `reset`.

        Raises:
            InvalidConfiguration: the number of seeds is not the number of environments.
        """
        seeds = self._seeds(seed)
        results = self._map(lambda index: self._reset(index, seed=seeds[index], options=options))
        infos: dict[str, Any] = {}
        for index, (_, info) in enumerate(results):
            infos = self._add_info(infos, info, index)
        return self._stack([observation for observation, _ in results]), infos

    def step(self, actions: np.ndarray) -> tuple[Any, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Step every environment; those whose episode ended are reset, now or in the next step."""
        if len(actions) != self.num_envs:
            raise InvalidConfiguration(f"{self.num_envs} environments need as many actions, got {len(actions)}")
        results = self._map(lambda index: self._step(index, actions[index]))
        observations, rewards, terminations, truncations, all_infos = zip(*results, strict=True)
        infos: dict[str, Any] = {}
        for index, info in enumerate(all_infos):
            infos = self._add_info(infos, info, index)
        return (
            self._stack(observations), np.array(rewards, np.float64), np.array(terminations, np.bool_),
            np.array(truncations, np.bool_), infos,
        )  # fmt: skip

    def render(self) -> tuple[Any, ...]:
        """The image of every environment."""
        return tuple(self._map(lambda index: self.envs[index].render()))

    def close_extras(self, **kwargs: Any) -> None:
        """Close the environments, each in its thread, and end the threads."""
        try:
            if self.envs:
                self._map(lambda index: self.envs[index].close())
        finally:
            for worker in self._workers:
                worker.shutdown()

    def _step(self, index: int, action: np.ndarray) -> Step:
        env = self.envs[index]
        if self._has_ended[index]:
            observation, info = self._reset(index)
            return observation, 0.0, False, False, info
        observation, reward, terminated, truncated, info = env.step(action)
        if terminated or truncated:
            if self._resets_next:
                self._has_ended[index] = True
            else:
                final = {"final_obs": observation, "final_info": info}
                observation, info = self._reset(index)
                info = {**info, **final}
        return observation, float(reward), terminated, truncated, info

    def _reset(self, index: int, **how: Any) -> tuple[Any, dict[str, Any]]:
        """Reset an environment; one whose reset fails is still to be reset, and not to be stepped."""
        self._has_ended[index] = True
        observation, info = self.envs[index].reset(**how)
        self._has_ended[index] = False
        return observation, info

    def _map(self, task: Callable[[int], ResultT]) -> list[ResultT]:
        """`task` of every index, each in the thread of its environment."""
        futures = [
            worker.submit(lambda chunk: [task(int(index)) for index in chunk], chunk)
            for worker, chunk in zip(self._workers, self._chunks, strict=True)
        ]
        return [result for future in futures for result in future.result()]

    def _seeds(self, seed: int | Sequence[int | None] | None) -> Sequence[int | None]:
        if seed is None:
            return [None] * self.num_envs
        seeds = [seed + index for index in range(self.num_envs)] if isinstance(seed, int) else seed
        if len(seeds) != self.num_envs:
            raise InvalidConfiguration(f"{self.num_envs} environments need as many seeds, got {len(seeds)}")
        return seeds

    def _stack(self, observations: Sequence[Any]) -> Any:
        out: Any = create_empty_array(self.single_observation_space, n=self.num_envs, fn=np.empty)
        return concatenate(self.single_observation_space, observations, out)
