"""Training on one machine: learner, actors and evaluator as processes that are started, supervised and shown."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console

from rl.config import TrainConfig
from rl.errors import ConfigError
from rl.link.address import learner_url
from rl.link.link_config import TOKEN_VARIABLE
from rl.link.server import bind, is_loopback
from rl.training.demo_clone import provide_clone
from rl.training.learned import Learned
from rl.training.live_view import View, make_view
from rl.training.preflight import require_one_at_a_time
from rl.training.same_run import stored_config, take_run
from rl.utils.checkpoint import Checkpoints
from rl.utils.run_directory import CHECKPOINTS, CONFIG, LOGS
from rl.utils.subprocesses import Child, Stop

logger = logging.getLogger(__name__)

_POLL_PERIOD_S = 0.25
_RESTARTS = 20
_LEARNER_STOP_TIMEOUT_S = 60.0  # a checkpoint of images may take a while
_CHILD_STOP_TIMEOUT_S = 15.0


def run_train(config: TrainConfig, stop: Stop, console: Console) -> None:
    """Run a training to its end, in a directory that is claimed once nothing stands in its way.

    Raises:
        ConfigError: the configuration cannot run on one machine, or the port is in use; no directory was made.
        RunExists, CheckpointNotFound: the directory holds a run, or none to resume.
        SchemaMismatch: the run to resume is one in another environment, or of another agent.
        ChildFailed: a process failed too often.
    """
    config = _placed(config)
    out = config.directory()
    take_run(config)
    if secret := config.link.secret():
        os.environ[TOKEN_VARIABLE] = secret  # how the processes get it: it is in no file and in no list of processes
    learner, others = _children(config)
    console.print(f"{config.env} into {out}; logs in {out}/{LOGS}", highlight=False, soft_wrap=True)
    with stored_config(config):
        if not provide_clone(config, stop, console):
            _conclude(config, console, was_stopped=True)
            return
        try:
            with make_view(console, f"{config.env} · {config.preset}") as view:
                for child in (learner, *others):
                    child.start()
                _supervise(config, learner, others, view, stop)
        finally:
            # The learner last: it stores what the actors still send.
            for child in others:
                child.stop(_CHILD_STOP_TIMEOUT_S)
            learner.stop(_LEARNER_STOP_TIMEOUT_S)
    _conclude(config, console, was_stopped=stop.is_set())


def _placed(config: TrainConfig) -> TrainConfig:
    """Return the configuration with a port that is free, checked for what one machine cannot do."""
    require_one_at_a_time(config)
    if not is_loopback(config.link.host) and config.link.secret() is None:
        raise ConfigError(f"listening on {config.link.host} needs a token: set {TOKEN_VARIABLE}")
    with bind(config.link.host, config.link.port or 0) as probe:
        port = probe.getsockname()[1]
    return replace(config, link=replace(config.link, port=port))


def _children(config: TrainConfig) -> tuple[Child, list[Child]]:
    out = config.directory()
    common = ("--config", str(out / CONFIG))
    learner = _child(out, "learner", ("learner", *common, "--resume"), threads=config.learner_threads)
    others = [_child(out, f"actor-{n}", ("actor", *common, "--name", f"actor-{n}")) for n in range(config.actors)]
    if config.evaluation.every_steps and config.evaluation.where == "process":
        others.append(_child(out, "evaluator", ("evaluator", *common)))
    return learner, others


def _child(out: Path, name: str, arguments: tuple[str, ...], threads: int = 1) -> Child:
    return Child(name, arguments, out / LOGS / f"{name}.log", _RESTARTS, threads)


def _supervise(config: TrainConfig, learner: Child, others: list[Child], view: View, stop: Stop) -> None:
    """Supervise the processes until the learner has finished or somebody stops the training."""
    while not stop.is_set():
        if learner.exit_status == 0:
            return
        for child in (learner, *others):
            if child.restart_if_failed():
                view.say(
                    f"{child.name} failed and was started again ({child.restarts} of {_RESTARTS}); see {child.log}"
                )
        view.show(fetch_status(config))
        stop.wait(_POLL_PERIOD_S)
    view.say("stopping: the learner writes a checkpoint …")


def fetch_status(config: TrainConfig) -> Mapping[str, Any] | None:
    """The learner's status, or None when it does not answer now."""
    secret = config.link.secret()
    headers = {"Authorization": f"Bearer {secret}"} if secret else {}
    try:
        answer = httpx.get(
            learner_url("http", config.link.host, config.link.port or 0) + "/v1/status",
            headers=headers,
            timeout=2.0,
            trust_env=False,
        )
        answer.raise_for_status()
    except httpx.HTTPError as error:
        logger.debug("no status: %s", error)
        return None
    status: Mapping[str, Any] = answer.json()
    return status


def _conclude(config: TrainConfig, console: Console, *, was_stopped: bool) -> None:
    steps = Checkpoints(config.directory() / CHECKPOINTS).steps()
    verb = "stopped" if was_stopped else "finished"
    where = (
        f"newest checkpoint: {config.directory() / CHECKPOINTS}/step_{steps[-1]:012d}" if steps else "no checkpoint yet"
    )
    console.print(f"{verb} at {time.strftime('%H:%M:%S')}; {where}", highlight=False, soft_wrap=True)
    go_on = f"go on with: robotkit-train train --out {config.directory()} --resume"
    if was_stopped:
        console.print(go_on, highlight=False, soft_wrap=True)
    elif (learned := Learned.load(config.directory())) is not None:
        console.print(learned.sentence(), highlight=False, soft_wrap=True)
        console.print(f"{go_on} --evaluation.stop-at-success None", highlight=False, soft_wrap=True)
