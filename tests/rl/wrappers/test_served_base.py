"""A served policy: its chunks in order, and with any fault no action at all before the next episode."""

from __future__ import annotations

import threading

import gymnasium as gym
import numpy as np
import pytest

from rl.errors import ConfigError, EnvironmentFailed, PolicyUnavailable
from rl.link.policy_client import TOKEN_VARIABLE
from rl.link.policy_codec import pack
from rl.wrappers.base_observation import base_action_in
from rl.wrappers.make_env import TranslateErrors, adapt
from rl.wrappers.residual import Residual
from rl.wrappers.residual_config import ResidualConfig
from rl.wrappers.served_base import ServedBase, served_observation
from tests.rl.wrappers.test_residual import Recorded
from tests.support.policy_server import PolicyScript, actions, serving, silent_socket
from tests.support.waiting import wait_until

PATIENT = ResidualConfig(answer_timeout_s=60.0)
QUICK = ResidualConfig(answer_timeout_s=0.3)
ZERO = np.zeros(1, np.float32)


def made(
    url: str, config: ResidualConfig = PATIENT, bound: float = 1.0, stop: threading.Event | None = None
) -> gym.Env:
    residual = Residual(lambda raw, adapted: ServedBase(url, raw, adapted, config, stop), config)
    return adapt(TranslateErrors(Recorded(bound), "env"), residual=residual)


def taken(env: gym.Env) -> list[float]:
    return [float(action[0]) for action in env.unwrapped.taken]


def test_a_chunk_is_taken_step_by_step_and_asked_for_anew_when_it_ends_and_at_a_reset():
    script = PolicyScript(lambda asked: actions(0.1, 0.2, 0.3))
    with serving(script) as url:
        env = made(url)
        observation, _ = env.reset(seed=1)
        for _ in range(4):
            env.step(ZERO)
        np.testing.assert_allclose(taken(env), [0.1, 0.2, 0.3, 0.1])
        assert len(script.asked) == 2
        np.testing.assert_array_equal(script.asked[0]["state"], observation[:2])
        observation, _ = env.reset()
        assert base_action_in(observation, 1) == pytest.approx(0.1)
        assert len(script.asked) == 3
        env.close()


def test_of_a_chunk_only_the_first_steps_are_taken_on_request():
    with serving(PolicyScript(lambda asked: actions(0.1, 0.2, 0.3))) as url:
        env = made(url, ResidualConfig(chunk_steps=2))
        env.reset(seed=1)
        for _ in range(3):
            env.step(ZERO)
        np.testing.assert_allclose(taken(env), [0.1, 0.2, 0.1])
        env.close()


def test_what_was_planned_before_a_human_took_over_is_not_taken_when_the_human_lets_go():
    script = PolicyScript(lambda asked: actions(0.1, 0.2, 0.3))
    with serving(script) as url:
        env = made(url)
        env.reset(seed=1)
        env.step(ZERO)
        script.answer = lambda asked: actions(0.7, 0.8, 0.9)
        env.unwrapped.human = np.array([0.5], np.float32)
        env.step(ZERO)
        env.unwrapped.human = None
        for _ in range(2):
            env.step(ZERO)
        np.testing.assert_allclose(taken(env), [0.1, 0.2, 0.7, 0.8])
        env.close()


def test_actions_are_the_environment_s_and_those_beyond_its_bounds_are_clipped():
    with serving(PolicyScript(lambda asked: actions(2.0, 9.0))) as url:
        env = made(url, bound=4.0)
        env.reset(seed=1)
        env.step(ZERO)
        env.step(ZERO)
        np.testing.assert_allclose(taken(env), [2.0, 4.0])
        env.close()


FAULTS = {
    "silence": (lambda asked: None, "did not answer within 0.3 s"),
    "wrong shape": (lambda asked: actions([0.1, 0.2]), r"actions of shape \(1, 2\)"),
    "empty": (lambda asked: pack({"actions": np.zeros((0, 1))}), r"actions of shape \(0, 1\)"),
    "three axes": (lambda asked: pack({"actions": np.zeros((1, 1, 1))}), r"actions of shape \(1, 1, 1\)"),
    "NaN": (lambda asked: actions(float("nan")), "not finite"),
    "infinity": (lambda asked: actions(0.1, float("inf")), "not finite"),
    "no actions": (lambda asked: pack({"state": 1}), "answers without `actions`"),
    "text": (lambda asked: "Traceback: out of memory", "says: Traceback: out of memory"),
    "no message": (lambda asked: b"\xc1", "does not speak openpi's protocol"),
    "too large": (lambda asked: bytes(5 << 20), "is gone"),
}


@pytest.mark.parametrize(("answer", "message"), FAULTS.values(), ids=FAULTS)
def test_with_a_fault_the_arm_holds_and_no_old_action_comes_again(answer, message):
    script = PolicyScript(lambda asked: actions(0.1, 0.2))
    with serving(script) as url:
        env = made(url, QUICK if message.startswith("did not answer") else PATIENT)
        env.reset(seed=1)
        env.step(ZERO)
        script.answer = answer
        with pytest.raises(PolicyUnavailable, match=message):
            env.step(ZERO)
        assert env.unwrapped.holds == 1
        for _ in range(2):
            with pytest.raises(PolicyUnavailable, match="was given up in this episode"):
                env.get_wrapper_attr("base").act(np.zeros(2, np.float32))
        np.testing.assert_allclose(taken(env), [0.1, 0.2])
        script.answer = lambda asked: actions(0.7, 0.8)
        env.reset()
        env.step(ZERO)
        assert taken(env)[-1] == pytest.approx(0.7)
        env.close()


def test_a_late_answer_is_never_taken_for_that_of_a_newer_question():
    script = PolicyScript(lambda asked: actions(-0.9))
    with serving(script) as url:
        env = made(url, QUICK)
        env.reset(seed=1)
        script.may_answer.clear()
        with pytest.raises(PolicyUnavailable, match="did not answer"):
            env.step(ZERO)
        script.answer = lambda asked: actions(0.4)
        script.may_answer.set()
        observation, _ = env.reset()
        assert base_action_in(observation, 1) == pytest.approx(0.4)
        env.close()


def test_the_first_answer_of_an_episode_may_take_longer():
    script = PolicyScript(lambda asked: actions(0.1))
    with serving(script) as url:
        env = made(url, ResidualConfig(answer_timeout_s=5.0, start_timeout_s=0.2))
        script.may_answer.clear()
        with pytest.raises(PolicyUnavailable, match=r"within 0.2 s"):
            env.reset(seed=1)
        script.may_answer.set()
        env.reset(seed=1)
        env.close()


def test_an_arm_goes_to_its_start_once_while_a_server_accepts_connections_and_says_nothing():
    script = PolicyScript(lambda asked: None)
    with serving(script) as url:
        env = made(url, ResidualConfig(answer_timeout_s=60.0, start_timeout_s=0.2))
        for _ in range(4):
            with pytest.raises(PolicyUnavailable, match=r"within 0.2 s"):
                env.reset(seed=1)
        assert env.unwrapped.resets == 1
        script.answer, before = (lambda asked: actions(0.1, 0.2)), script.connections
        env.reset(seed=1)
        assert env.unwrapped.resets == 2
        assert script.connections == before + 2, "the episode has a connection to which nothing was said before"
        env.reset()
        assert script.connections == before + 3, "a server that answers is not asked twice"
        env.close()


@pytest.mark.parametrize("waits_for", ["a connection", "a description", "the first answer", "a later answer"])
def test_a_stop_ends_every_wait_for_a_server(waits_for: str):
    """The limits are an hour: a wait that a stop does not end does not end within this test either."""
    script, stop, ended = PolicyScript(lambda asked: actions(0.1)), threading.Event(), threading.Event()
    hour = ResidualConfig(answer_timeout_s=3600.0, start_timeout_s=3600.0)
    failure: list[BaseException] = []

    def wait_for_it() -> None:
        try:
            env.reset(seed=1) if waits_for != "a later answer" else env.step(ZERO)
        except PolicyUnavailable as error:
            failure.append(error)
        ended.set()

    with serving(script) as url, silent_socket() as silence:
        env = made(url, hour, stop=stop)
        if waits_for == "a later answer":
            env.reset(seed=1)
        asked = len(script.asked)
        script.answer = lambda asked: None
        if waits_for == "a connection":
            env.get_wrapper_attr("base")._client.url = silence
        elif waits_for == "a description":
            script.begins = False
        waiting = threading.Thread(target=wait_for_it, daemon=True)
        connections = script.connections
        waiting.start()
        if waits_for.endswith("answer"):
            wait_until(lambda: len(script.asked) > asked)
        elif waits_for == "a description":
            wait_until(lambda: script.connections > connections)
        assert not ended.is_set()
        stop.set()
        assert ended.wait(60.0)
        assert "somebody asked for the end" in str(failure[0])
        assert env.unwrapped.holds == (waits_for == "a later answer")
        env.close()


def test_a_stop_before_anybody_answered_is_no_wrong_address():
    stop = threading.Event()
    stop.set()
    with silent_socket() as url, pytest.raises(PolicyUnavailable, match="somebody asked for the end"):
        made(url, ResidualConfig(start_timeout_s=3600.0), stop=stop)


def test_another_policy_at_the_same_address_is_refused():
    script = PolicyScript(lambda asked: actions(0.1))
    with serving(script) as url:
        env = made(url)
        env.reset(seed=1)
        before = env.get_wrapper_attr("base_facts")["policy"]
        script.metadata = {"policy": "another"}
        with pytest.raises(EnvironmentFailed, match=r"another policy is served at ws://.* now"):
            env.reset()
        other = made(url)
        assert other.get_wrapper_attr("base_facts")["policy"] != before
        env.close(), other.close()


def test_a_server_that_is_gone_is_waited_for_and_one_that_never_was_is_refused():
    script = PolicyScript(lambda asked: actions(0.1))
    with serving(script) as url:
        env = made(url)
        env.reset(seed=1)
    with pytest.raises(PolicyUnavailable, match=r"is gone|no policy answers"):
        env.step(ZERO)
    resets = env.unwrapped.resets
    with pytest.raises(PolicyUnavailable, match="no policy answers"):
        env.reset()
    assert env.unwrapped.resets == resets, "an arm that waits for a policy stands still"
    with pytest.raises(ConfigError, match=r"no policy answers at .*Start its server"):
        made(url)
    with serving(script, int(url.rpartition(":")[2])):
        env.reset()
        env.step(ZERO)
        env.close()


def test_a_token_is_sent_and_no_server_that_is_none_is_talked_to(monkeypatch: pytest.MonkeyPatch):
    script = PolicyScript(lambda asked: actions(0.1))
    seen: list[str | None] = []
    handle = script.handle

    def remembered(connection):
        seen.append(connection.request.headers.get("Authorization"))
        handle(connection)

    script.handle = remembered
    with serving(script) as url:
        made(url).close()
        monkeypatch.setenv(TOKEN_VARIABLE, "secret")
        made(url).close()
        assert seen == [None, "Api-Key secret"]
        script.metadata = [1]
        with pytest.raises(ConfigError, match="it is no policy server"):
            made(url)


def test_an_observation_is_sent_by_its_paths_with_the_task_in_words():
    nested = {"state": {"tcp_pos": np.ones(3)}, "images": {"front": np.zeros((2, 2, 3), np.uint8)}}
    sent = served_observation(nested, "pick up the cube")
    assert set(sent) == {"state/tcp_pos", "images/front", "prompt"}
    assert set(served_observation(np.ones(3))) == {"state"}
