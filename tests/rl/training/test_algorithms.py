"""SAC and DrQ in this process: what they learn, how they are stopped, and that a seed says everything."""

from __future__ import annotations

import random
import signal
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch

from rl import SAC, Callback, DrQ, DrqConfig, History, SacConfig, StopTraining
from rl.common.optimizers import OptimizerConfig
from rl.errors import ConfigError, JournalError, RlError, RunExists, SchemaMismatch
from rl.training.callbacks import EpisodeEnd, Step, TrainingStart, Update
from tests.rl.training.small_agents import ENV, NETWORKS, PIXEL_ENV, one_thread, small_drq, small_sac
from tests.rl.training.test_exact_resume import assert_same
from tests.support.tiny_env import FollowTarget


@pytest.fixture(autouse=True)
def ctrl_c_interrupts():
    """Whatever a command that another test ran in this process has left behind."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


__all__ = ["one_thread"]


def test_it_learns_what_chance_does_not_know():
    quick = OptimizerConfig(3e-3)
    networks = SacConfig(
        critic_ensemble_size=2,
        critic_subsample_size=None,
        hidden_dims=(32, 32),
        activations="relu",
        discount=0.9,
        actor_optimizer=quick,
        critic_optimizer=quick,
    )
    agent = SAC(ENV, networks, batch_size=64, utd_ratio=1, env_steps_per_update=1, random_steps=80, training_starts=80)
    before = agent.evaluate(20)
    agent.train(steps=400)
    after = agent.evaluate(20)
    # Ten steps, of which each pays 1 minus the distance between two numbers in [-0.8, 0.8].
    assert before["return_mean"] < 8.0
    assert after["return_mean"] > 9.0
    assert after["success_rate"] == 1.0
    targets = np.linspace(-0.7, 0.7, 8, dtype=np.float32)
    observations = np.stack([targets, np.full(8, 4.0, np.float32)], axis=1)
    np.testing.assert_allclose(agent.predict(observations)[:, 0], targets, atol=0.25)


def test_steps_and_updates_are_those_that_were_asked_for():
    agent = small_sac()
    assert agent.train(steps=60) is agent
    assert (agent.env_steps, agent.updates) == (60, (60 - 20) // 4)
    agent.train(steps=3)
    assert (agent.env_steps, agent.updates) == (63, 10)
    agent.train(steps=1)
    assert (agent.env_steps, agent.updates) == (64, 11)


@pytest.mark.parametrize(("make", "steps"), [(small_sac, 60), (small_drq, 32)], ids=["sac", "drq"])
def test_a_seed_says_everything(make: Any, steps: int):
    trained = []
    for disturbance in (1, 2):
        torch.manual_seed(disturbance)
        np.random.seed(disturbance)
        random.seed(disturbance)
        trained.append(make(seed=3).train(steps).core.state_dict())
    assert_same(*trained, "agent")
    with pytest.raises(AssertionError):
        assert_same(trained[0], make(seed=4).train(steps).core.state_dict(), "agent")


def test_the_global_generators_are_left_alone():
    torch.manual_seed(0)
    np.random.seed(0)
    expected = torch.rand(()), np.random.random()
    torch.manual_seed(0)
    np.random.seed(0)
    small_sac().train(40)
    assert (torch.rand(()), np.random.random()) == expected


class Recorder(Callback):
    """Writes down what it is told, and asks for the end at one event."""

    def __init__(self, stop_at: tuple[str, int] | None = None, how: Any = None) -> None:
        self.told: list[tuple[str, int]] = []
        self._stop_at, self._how = stop_at, how

    def _note(self, name: str, number: int) -> bool | None:
        self.told.append((name, number))
        if self._stop_at != (name, number):
            return None
        return self._how() if callable(self._how) else False

    def on_training_start(self, event: TrainingStart) -> bool | None:
        return self._note("start", event.env_steps)

    def on_step(self, event: Step) -> bool | None:
        return self._note("step", event.env_steps)

    def on_episode_end(self, event: EpisodeEnd) -> bool | None:
        return self._note("episode", event.episodes)

    def on_update(self, event: Update) -> bool | None:
        return self._note("update", event.updates)

    def on_evaluation(self, event: Any) -> bool | None:
        return self._note("evaluation", event.env_steps)

    def on_training_end(self) -> None:
        self.told.append(("end", 0))


def test_callbacks_are_told_in_order():
    told = Recorder()
    agent = small_sac(training_starts=17, env_steps_per_update=2)
    agent.train(20, callbacks=[told], evaluate_every=20, evaluate_episodes=1)
    steps = [("step", number) for number in range(1, 21)]
    assert told.told == [
        ("start", 0),
        *steps[:10],
        ("episode", 1),
        *steps[10:19],
        ("update", 1),
        steps[19],
        ("episode", 2),
        ("evaluation", 20),
        ("evaluation", 20),
        ("end", 0),
    ]


def raise_stop() -> None:
    raise StopTraining


@pytest.mark.parametrize("how", [None, raise_stop], ids=["returns False", "raises StopTraining"])
@pytest.mark.parametrize(
    ("event", "env_steps", "updates"),
    [(("start", 0), 0, 0), (("step", 7), 7, 0), (("episode", 2), 20, 0), (("update", 2), 28, 2)],
)
def test_a_callback_stops_the_training(event: tuple[str, int], env_steps: int, updates: int, how: Any):
    stopping, other = Recorder(event, how), Recorder()
    agent = small_sac().train(100, callbacks=[stopping, other])
    assert (agent.env_steps, agent.updates) == (env_steps, updates)
    assert stopping.told == other.told, "the others hear of the last event, too"
    assert stopping.told[-2:] == [event, ("end", 0)]
    assert agent.train(5).env_steps == env_steps + 5


def test_an_error_of_a_callback_is_the_callers():
    def fail() -> None:
        raise ZeroDivisionError

    told = Recorder(("step", 25), fail)
    agent = small_sac()
    with pytest.raises(ZeroDivisionError):
        agent.train(40, callbacks=[told])
    assert told.told[-1] == ("end", 0)
    assert agent.train(15).env_steps == 40


@pytest.mark.parametrize(("event", "env_steps", "updates"), [(("update", 2), 28, 2), (("step", 30), 30, 2)])
def test_ctrl_c_leaves_an_agent_that_goes_on(event: tuple[str, int], env_steps: int, updates: int, tmp_path: Any):
    def press() -> None:
        signal.raise_signal(signal.SIGINT)

    agent = small_sac()
    with pytest.raises(KeyboardInterrupt):
        agent.train(100, callbacks=[Recorder(event, press)])
    assert (agent.env_steps, agent.updates) == (env_steps, updates)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    agent.save(tmp_path)
    assert SAC.load(tmp_path).env_steps == env_steps
    assert agent.train(10).env_steps == env_steps + 10


def test_a_second_ctrl_c_does_not_wait():
    def press_twice() -> None:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        pytest.fail("the second one was not heard")

    agent = small_sac()
    with pytest.raises(KeyboardInterrupt):
        agent.train(100, callbacks=[Recorder(("step", 30), press_twice)])
    assert agent.train(10).env_steps == 40


def test_every_training_lives_through_episodes_of_its_own():
    starts: list[float] = []

    class Keep(Callback):
        def on_step(self, event: Step) -> None:
            if event.transition["observations"][1] == 0:
                starts.append(float(event.transition["observations"][0]))

    agent = small_sac()
    for _ in range(3):
        agent.train(20, callbacks=[Keep()], evaluate_every=10, evaluate_episodes=1)
    assert len(starts) == len(set(starts)) == 6


class TornAtTheFifth(FollowTarget):
    """Says of the fifth step of each episode that it did not follow from its action."""

    def step(self, action: np.ndarray) -> Any:
        observation, reward, terminated, truncated, info = super().step(action)
        return observation, reward, terminated, truncated, {**info, "is_torn": self._steps == 5}


def test_a_torn_step_is_left_out_and_ends_its_trajectory(tmp_path: Any):
    transitions: list[Any] = []

    class Keep(Callback):
        def on_step(self, event: Step) -> None:
            transitions.append(event.transition)

    agent = small_sac(TornAtTheFifth(), n_step=3, training_starts=100)
    agent.train(18, callbacks=[Keep()])
    counted = [int(transition["observations"][1]) for transition in transitions]
    assert counted == [0, 1, 2, 3, 5, 6, 7, 8, 9] * 2
    # Before the gap three steps end early, at its fourth; the ninth of the second episode ends it.
    agent.save(tmp_path)
    for learner in (agent, SAC.load(tmp_path, TornAtTheFifth()).train(1)):
        batch = learner._session._data.memory.replay.sample(18, indices=np.arange(18))  # type: ignore[union-attr]
        spans = (batch["next_observations"][:, 1] - batch["observations"][:, 1]).astype(int).tolist()
        assert spans == [3, 3, 2, 1, 3, 3, 3, 2, 1] * 2


def test_an_observation_that_is_no_number_is_not_stored():
    class Broken(FollowTarget):
        def _observe(self) -> np.ndarray:
            seen = super()._observe()
            return seen * np.nan if self._steps == 3 else seen

    agent = small_sac(Broken())
    with pytest.raises(SchemaMismatch, match="finite"):
        agent.train(40)
    assert agent.env_steps == 2


def test_an_environment_serves_one_purpose_at_a_time():
    agent = small_sac()

    class Evaluate(Callback):
        def on_step(self, event: Step) -> None:
            agent.evaluate(1)

    with pytest.raises(ConfigError, match=r"in the middle of train\(\)"):
        agent.train(5, callbacks=[Evaluate()])

    class EvaluateElsewhere(Callback):
        def on_step(self, event: Step) -> None:
            agent.evaluate(1, env=ENV)

    agent.train(2, callbacks=[EvaluateElsewhere()])
    with pytest.raises(SchemaMismatch, match="not like the one"):
        agent.evaluate(1, env="Pendulum-v1")


def test_images_and_state_are_seen():
    agent = small_drq(frame_stack=2, image_size=48, image_frames=1)
    agent.train(24)
    assert agent.updates == 1
    observation, _ = agent.env.reset(seed=0)
    assert {name: value.shape for name, value in observation.items()} == {
        "front": (1, 48, 48, 3),
        "wrist": (1, 48, 48, 3),
        "state": (2, 1),
    }


class Discrete(FollowTarget):
    action_space = gym.spaces.Discrete(2)  # type: ignore[assignment]


class Misspelled(Callback):
    def on_stp(self, event: Any) -> None:
        """Never called."""


class Endless(FollowTarget):
    observation_space = gym.spaces.Sequence(gym.spaces.Box(-1, 1, (2,)))  # type: ignore[assignment]


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (lambda: SAC(Discrete()), r"bounded actions in a flat Box, not Discrete\(2\): choose .* or wrap it"),
        (lambda: SAC(Endless()), r"flatten to a vector of one length, not Sequence.*: wrap the environment"),
        (lambda: SAC(PIXEL_ENV), r"holds images.*choose .*rl\.DrQ"),
        (lambda: DrQ(PIXEL_ENV, image_size=8), r"cannot take .* front \(1, 8, 8, 3\).*Choose larger images"),
        (lambda: DrQ(ENV), r"needs images.*Its cameras: none\. Choose an environment with images, or rl\.SAC"),
        (lambda: SAC("NoSuchTask-v0"), r"there is no environment 'NoSuchTask-v0'"),
        (lambda: SAC(gym.make_vec("Pendulum-v1", 2)), r"a vector of them: pass a single one"),
        (lambda: SAC(FollowTarget), r"a gymnasium\.Env or the id of one, such as 'Pendulum-v1', and not <class"),
        (lambda: SAC(ENV, batchsize=3), r"no setting 'batchsize'\. Did you mean 'batch_size'\? Known: .*SacConfig"),
        (lambda: SAC(ENV, {"discount": 0.9}), r"must be a SacConfig, not \{"),
        (lambda: SAC(ENV, DrqConfig()), r"must be a SacConfig, not DrqConfig"),
        (lambda: DrQ(PIXEL_ENV, SacConfig()), r"must be a DrqConfig, not SacConfig"),
        (lambda: SAC(ENV, seed=-1), r"the seed must be at least 0, not -1"),
        (lambda: SAC(ENV, seed="a"), r"the seed must be a whole number, not 'a'"),  # type: ignore[arg-type]
        (lambda: SAC(ENV, device="abacus"), r"cannot compute on the device 'abacus' here: .*Choose cpu"),
        (lambda: SAC(ENV, batch_size="a"), r"batch_size must be a whole number, not 'a'"),  # type: ignore[arg-type]
        (lambda: SAC(ENV, demo_share=True), r"demo_share must be a number, not True"),
        (lambda: SAC(ENV, compile=1), r"compile must be True or False, not 1"),  # type: ignore[arg-type]
        (lambda: SAC(ENV, image_size=0.5), r"image_size must be a whole number or None, not 0\.5"),  # type: ignore[arg-type]
        (lambda: SAC(ENV, batch_size=0), r"batch_size must be at least 1, not 0"),
        (lambda: SAC(ENV, interventions=5), r"give demos"),
        (lambda: small_sac().train(0), r"steps must be at least 1, not 0"),
        (lambda: small_sac().train(1e4), r"a whole number, such as 10_000, not 10000\.0"),
        (lambda: small_sac().train(5, callbacks=History()), r"takes a list, also of one: callbacks=\[History"),
        (lambda: small_sac().train(5, evaluate_every=-1), r"evaluate_every must be at least 0"),
        (lambda: OptimizerConfig(-1e-3), r"learning_rate must be a finite number of at least 0, not -0\.001"),
        (lambda: OptimizerConfig(float("nan")), r"learning_rate must be a finite number"),
        (lambda: OptimizerConfig(warmup_steps=-1), r"warmup_steps must be at least 0, not -1"),
        (lambda: OptimizerConfig(warmup_steps=5, cosine_decay_steps=5), r"cosine_decay_steps must be above warmup"),
        (lambda: OptimizerConfig(weight_decay=-1.0), r"weight_decay must be a finite number of at least 0"),
        (lambda: OptimizerConfig(clip_grad_norm=0.0), r"clip_grad_norm must be above 0, or None, not 0\.0"),
        (lambda: SacConfig(discount=2.0), r"discount must lie in \[0, 1\].*, not 2\.0 and 0\.005"),
        (lambda: SacConfig(hidden_dims=(16, 0)), r"each at least 1, not \(16, 0\)"),
        (lambda: SacConfig(std_min=6.0), r"std_min must be above 0 and at most std_max, .*not 6\.0 and 5\.0"),
        (lambda: SacConfig(temperature_init=0.0), r"temperature_init must be above 0 and finite, not 0\.0"),
        (lambda: SacConfig(precision="half"), r"precision must be 'float32' or .* or .*, not 'half'"),  # type: ignore[arg-type]
        (lambda: small_sac().train(5, callbacks=[print]), r"extends rl\.Callback, not <built-in"),  # type: ignore[list-item]
        (lambda: small_sac().train(5, callbacks=[Misspelled()]), r"\.on_stp would never.* on_step\? A callback has"),
        (lambda: small_sac().evaluate("a"), r"episodes must be a whole number, not 'a'"),  # type: ignore[arg-type]
        (lambda: small_sac().save(), r"save\(\) needs a path"),
    ],
)  # fmt: skip
def test_what_cannot_work_is_refused_with_a_way_out(build: Any, said: str):
    with pytest.raises(ConfigError, match=said):
        build()


@pytest.mark.parametrize("call", [lambda agent: agent.train(5), lambda agent: agent.save()])
def test_a_closed_agent_trains_and_saves_no_more_and_says_so(tmp_path: Any, call: Any):
    with small_sac(out=tmp_path / "run") as agent:
        agent.train(5)
    with pytest.raises(ConfigError, match=r"this one was closed: call it before close\(\)"):
        call(agent)
    assert agent.predict([0.5, 1.0]).shape == (1,)


@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_no_action_is_given_for_an_observation_that_is_not_finite(number: float):
    with pytest.raises(SchemaMismatch, match="not finite"):
        small_sac().predict(np.array([0.5, number]))


def test_nothing_is_written_where_something_is_wrong(tmp_path: Any):
    out = tmp_path / "run"
    with pytest.raises(JournalError):
        small_sac(demos=[tmp_path / "none.sqlite"], out=out)
    with pytest.raises(RlError):
        SAC(PIXEL_ENV, out=out)
    assert not out.exists()
    small_sac(out=out).close()
    with pytest.raises(RunExists, match="never overwritten"):
        small_sac(out=out)


def test_an_environment_that_was_passed_stays_open_and_one_that_was_made_is_closed():
    class Closing(FollowTarget):
        closed = False

        def close(self) -> None:
            self.closed = True

    ours = Closing()
    with small_sac(ours) as agent:
        pass
    assert not ours.closed
    assert agent.predict([0.5, 1.0]).shape == (1,)
    made = SAC(ENV, NETWORKS)
    inner: Any = made.env.unwrapped
    inner.close = lambda: setattr(inner, "closed", True)
    made.close()
    assert inner.closed


def test_u2_a_first_update_that_would_find_nothing_is_refused():
    with pytest.raises(ConfigError, match="training_starts=5 must be at least 10"):
        small_sac(n_step=10, training_starts=5)


def test_numpy_s_whole_numbers_are_whole_numbers(tmp_path: Any):
    agent = small_sac(seed=np.int64(3))  # type: ignore[arg-type]
    agent.save(tmp_path / "run")
    assert SAC.load(tmp_path / "run").evaluate(episodes=np.int64(1))["episodes"] == 1  # type: ignore[arg-type]
