"""D7: an actor waits through faults, stops and lost connections, and what they tore is not learned from."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import gymnasium as gym
import numpy as np
import pytest

import robotkit as rk
from rl.data.journal import TransitionJournal
from rl.data.replay_buffer import ReplayBuffer
from rl.data.schema import EXTRAS, SCALAR
from rl.errors import EnvironmentFailed, EnvironmentInterrupted, PolicyUnavailable
from rl.link.client import LearnerLink
from rl.link.frames import Weights
from rl.link.hub import LearnerHub
from rl.link.messages import AgentSpec, Handshake
from rl.link.server import LinkServer
from rl.training.actor import ActingPlan, EvaluationPlan, run_actor, run_evaluator
from rl.training.recovery import Recovery
from rl.training.replay_loader import ReplayLoader
from rl.utils.seeds import Seeds
from rl.wrappers.make_env import TranslateErrors, adapt
from robotkit import make_workcell
from tests.envs.test_serl_task import innermost
from tests.rl.link.conftest import settings
from tests.support.waiting import wait_until as wait_until_within

ACTING = ActingPlan(0, EvaluationPlan(0, 1, 0))

PATIENCE_S = 60.0
wait_until = partial(wait_until_within, deadline_s=PATIENCE_S)


class Steady:
    """A policy that goes slowly along one axis."""

    def __init__(self, env: gym.Env) -> None:
        self._action = np.full(env.action_space.shape, 0.05, np.float32)

    def sample_actions(self, observations: np.ndarray, *, argmax: bool = False) -> np.ndarray:
        return self._action

    def load_policy_state_dict(self, state: dict[str, np.ndarray]) -> None:
        pass


class Stop(threading.Event):
    """What a signal would set."""


class Running:
    """An actor in a thread, and the learner's end of its link."""

    def __init__(
        self, env: gym.Env, journal: TransitionJournal, hub: LearnerHub, link: LearnerLink, plan, loop
    ) -> None:
        self.env, self.journal, self.hub, self.stop = env, journal, hub, Stop()
        self.failure: BaseException | None = None
        self._link, self._plan, self._loop = link, plan, loop
        self.thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        try:
            if self._loop is run_evaluator:
                run_evaluator(self.env, Steady(self.env), self._link, self._plan.evaluation, self.stop)
            else:
                run_actor(self.env, Steady(self.env), self._link, self._plan, Seeds(0), self.stop)
        except BaseException as error:
            self.failure = error

    @property
    def waits_for(self) -> str | None:
        return self.hub.status()["actors"]["arm"]["waiting_for"]

    def let_step(self, count: int) -> None:
        """Let the actor take so many more steps, and wait until they are stored."""
        wanted = self.hub.env_steps + count
        self.hub.grant(wanted)
        assert self.hub.wait_for_data(wanted, PATIENCE_S), self.failure

    def end(self) -> None:
        self.stop.set()
        self.thread.join(PATIENCE_S)
        assert not self.thread.is_alive()


@contextmanager
def running(env: gym.Env, path, plan=ACTING, loop=run_actor) -> Iterator[Running]:
    spec = AgentSpec.of("Arm-v0", env, EXTRAS)
    with TransitionJournal(path / "journal.sqlite") as journal:
        hub = LearnerHub(journal, "Arm-v0")
        hub.publish(Weights(1, {"layer": np.zeros(1, np.float32)}))
        with LinkServer(hub, "127.0.0.1", 0) as server:
            role = "actor" if loop is run_actor else "evaluator"
            handshake = Handshake(actor="arm", attempt="first", spec=spec, role=role)
            with LearnerLink(settings(server.port), handshake) as link:
                run = Running(env, journal, hub, link, plan, loop)
                run.thread.start()
                try:
                    yield run
                finally:
                    run.end()


@pytest.fixture
def cell() -> Iterator[rk.Workcell]:
    with make_workcell("fake") as made:
        yield made


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Recovery.__init__, "__defaults__", (0.02, 60.0))


def environment(cell) -> gym.Env:
    return adapt(TranslateErrors(gym.make("envs:PandaReach-v0", cell=cell, disable_env_checker=True), "reach"))


def interrupt(cell, how: str):
    """Keep the arm from going on; returns how a person mends it, and what is said."""
    body = innermost(cell.robot)
    if how == "fault":
        body.inject_fault("cartesian_reflex")
        return cell.robot.recover, "cartesian_reflex"
    if how == "stop":
        cell.robot.stop_for("a person pressed stop", "operator")
        return cell.robot.recover, "a person pressed stop"
    measure = body._measure

    def lost():
        raise rk.ConnectionFailed("the controller of the arm is gone")

    def mend():
        body._measure = measure
        cell.robot.recover()

    body._measure = lost
    return mend, "the controller of the arm is gone"


@pytest.mark.parametrize("how", ["fault", "stop", "lost"])
def test_d7_an_actor_waits_until_the_robot_is_recovered_and_goes_on(cell, tmp_path, caplog, how):
    caplog.set_level(logging.INFO)
    with running(environment(cell), tmp_path) as run:
        run.let_step(17)
        mend, said = interrupt(cell, how)
        run.hub.grant(run.hub.env_steps + 10)
        wait_until(lambda: run.waits_for is not None)
        assert said in run.waits_for
        stored, said_so_far, tried = run.hub.env_steps, len(caplog.records), count_tries(cell)
        wait_until(lambda: len(tried) >= 5)
        assert run.hub.env_steps == stored, "it steps a robot that nobody has recovered"
        assert len(caplog.records) == said_so_far, "each try is told"
        mend()
        run.let_step(40)
        wait_until(lambda: run.waits_for is None)
        assert run.failure is None
        wanted = [record for record in caplog.records if record.levelno == logging.WARNING]
        assert len(wanted) == 1
        assert "recover the robot" in wanted[0].getMessage()
        assert said in wanted[0].getMessage()
        assert_torn_once(run.journal)


def count_tries(cell) -> list[None]:
    """Grows by one whenever the actor looks whether it can go on."""
    tried: list[None] = []
    measure = cell.get_state
    cell.get_state = lambda: (tried.append(None), measure())[1]
    return tried


def assert_torn_once(journal: TransitionJournal) -> None:
    """The trajectory has one gap, no transition reaches across it, and no n-step return either."""
    blocks = list(journal.blocks())
    gaps = [number for number, block in enumerate(blocks) if (block.info or {}).get("follows_gap")]
    assert len(gaps) == 1
    before = concatenated(blocks[: gaps[0]])
    after = concatenated(blocks[gaps[0] :])
    for part in (before, after):
        goes_on = part["dones"][:-1] == 0
        np.testing.assert_array_equal(part["observations"][1:][goes_on], part["next_observations"][:-1][goes_on])
    assert before["masks"][-1] == 1.0, "truncated, not terminated"
    replay = ReplayBuffer(*spaces_of(before), 1000, seed=0, extras=dict.fromkeys(EXTRAS, SCALAR))
    ReplayLoader(journal, replay, 3, 0.9, extras=EXTRAS).poll()
    kept = replay.sample(len(replay), indices=np.arange(len(replay)))
    last = len(before["rewards"]) - 1
    np.testing.assert_array_equal(kept["next_observations"][last], before["next_observations"][-1])
    np.testing.assert_allclose(kept["rewards"][last], before["rewards"][-1])
    assert kept["masks"][last] == 1.0


def concatenated(blocks) -> dict[str, np.ndarray]:
    names = blocks[0].transitions
    return {name: np.concatenate([block.transitions[name] for block in blocks]) for name in names}


def spaces_of(batch) -> tuple[gym.Space, gym.Space]:
    return tuple(
        gym.spaces.Box(-np.inf, np.inf, batch[name].shape[1:], np.float32) for name in ("observations", "actions")
    )


def test_d7_a_signal_ends_a_waiting_actor(cell, tmp_path):
    with running(environment(cell), tmp_path) as run:
        run.let_step(3)
        interrupt(cell, "stop")
        run.hub.grant(100)
        wait_until(lambda: run.waits_for is not None)
        run.stop.set()
        wait_until(lambda: not run.thread.is_alive())
        assert run.failure is None


def test_d7_a_training_that_ends_does_not_wait_for_its_robot(cell, tmp_path):
    with running(environment(cell), tmp_path) as run:
        run.let_step(3)
        interrupt(cell, "stop")
        run.hub.grant(100)
        wait_until(lambda: run.waits_for is not None)
        run.hub.finish()
        wait_until(lambda: not run.thread.is_alive())
        assert run.failure is None


def test_d7_a_robot_that_is_stopped_at_the_start_is_waited_for(cell, tmp_path):
    cell.robot.stop_for("a person pressed stop", "operator")
    with running(environment(cell), tmp_path) as run:
        run.hub.grant(100)
        wait_until(lambda: run.waits_for is not None)
        cell.robot.recover()
        run.let_step(5)


@pytest.mark.parametrize("loop", [run_actor, run_evaluator])
def test_d7_an_evaluation_that_was_interrupted_is_repeated(cell, tmp_path, loop):
    plan = ActingPlan(0, EvaluationPlan(40, 1, 0))
    body = innermost(cell.robot)
    follow, count = body._follow, iter(range(1000))
    # An actor evaluates after an episode of 40 steps, an evaluator at once.
    in_evaluation = 50 if loop is run_actor else 10

    def stop_once(command):
        if next(count) == in_evaluation:
            cell.robot.stop_for("a person pressed stop", "operator")
        return follow(command)

    body._follow = stop_once
    with running(environment(cell), tmp_path, plan, loop) as run:
        run.hub.grant(40)
        wait_until(lambda: run.waits_for is not None)
        assert "evaluation" not in [report.topic for _, report in run.hub.take_reports()]
        cell.robot.recover()
        wait_until(lambda: "evaluation" in [report.topic for _, report in run.hub.take_reports()])


class Misbuilt(gym.Env):
    """Its steps raise what they are given."""

    observation_space = gym.spaces.Box(-1.0, 1.0, (2,), np.float32)
    action_space = gym.spaces.Box(-1.0, 1.0, (1,), np.float32)

    def __init__(self, error: Exception) -> None:
        self._error = error

    def reset(self, *, seed=None, options=None):
        return np.zeros(2, np.float32), {}

    def step(self, action):
        raise self._error


@pytest.mark.parametrize(
    "error",
    [
        rk.InvalidConfiguration("the cell lacks a camera"),
        rk.UnknownPlugin("there is no arm 'pandda'"),
        rk.Unauthorized("the token is wrong"),
        rk.InvalidCommand("an action has seven numbers"),
    ],
    ids=lambda error: error.code,
)
def test_d7_what_no_waiting_can_mend_ends_the_actor_with_its_sentence(tmp_path, error):
    with running(TranslateErrors(Misbuilt(error), "arm"), tmp_path) as run:
        run.hub.grant(10)
        run.thread.join(PATIENCE_S)
        assert isinstance(run.failure, EnvironmentFailed)
        assert not isinstance(run.failure, EnvironmentInterrupted)
        assert error.message in str(run.failure)


@pytest.mark.parametrize(
    ("error", "said", "not_said"),
    [
        (
            PolicyUnavailable("no policy answers at ws://far:1"),
            "the policy's server has to answer again",
            "recover the",
        ),
        (EnvironmentInterrupted("a person pressed stop"), "recover the robot", "server"),
    ],
    ids=["policy", "robot"],
)
def test_what_is_waited_for_is_said_with_what_a_person_does_about_it(error, said, not_said, caplog):
    tries = iter([error, error])

    def work() -> str:
        for failure in tries:
            raise failure
        return "done"

    assert Recovery(Unfinished(), Stop(), 0.0).carry(work) == "done"
    (warning,) = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert str(error) in warning
    assert said in warning
    assert not_said not in warning
    assert "THE ROBOT MOVES BY ITSELF" in warning


def test_a_stop_that_ends_a_wait_is_no_interruption(caplog):
    stop = Stop()

    def work() -> None:
        stop.set()
        raise PolicyUnavailable("the policy was waited for no longer")

    assert Recovery(Unfinished(), stop, 0.0).carry(work) is None
    assert not caplog.records


class Unfinished:
    """A training that goes on."""

    is_finished = False

    def set_waiting_for(self, reason: str | None) -> None: ...


class Late(gym.Wrapper):
    """Marks one step as torn."""

    def __init__(self, env: gym.Env, at: int) -> None:
        super().__init__(env)
        self._left = at

    def step(self, action):
        result = self.env.step(action)
        self._left -= 1
        result[4].update(is_torn=self._left == 0, overrun_s=3.0 if self._left == 0 else 0.0)
        return result


def test_r11_a_torn_step_is_left_out_and_tears_the_trajectory(cell, tmp_path, caplog):
    with running(Late(environment(cell), at=8), tmp_path) as run:
        run.let_step(20)
        assert "left out" in caplog.text
        assert "3.00 s" in caplog.text
        blocks = list(run.journal.blocks())
        gap = next(number for number, block in enumerate(blocks) if (block.info or {}).get("follows_gap"))
        assert blocks[gap].first_sequence == 7
        assert_torn_once(run.journal)
