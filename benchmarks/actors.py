"""The learner's rate of updates beside many actors, which send ten transitions a second each and take the weights."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.link import ACTION, OBSERVATION, SPEC, _row, _transition
from rl.agents.continuous.sac import SACAgent
from rl.agents.continuous.sac_config import SacConfig
from rl.data.journal import TransitionJournal
from rl.data.mixture import MixedBatches
from rl.data.replay_buffer import ReplayBuffer
from rl.link.client import LearnerLink
from rl.link.hub import LearnerHub
from rl.link.messages import Handshake, build_space
from rl.link.server import LinkServer
from rl.link.state import ClientSettings
from rl.training.in_process import TensorBatches
from rl.training.learned import SuccessGoal
from rl.training.learner import LearnerLoop
from rl.training.replay_loader import ReplayLoader
from rl.training.trainer import LoopIntervals, Progress, Trainer
from rl.training.update_schedule import Schedule
from rl.utils.logger import Logger
from rl.utils.subprocesses import StopSignal

ACTORS = (1, 4, 16, 64)
HZ = 10
_BATCH = 256


def run(quick: bool) -> list[dict[str, Any]]:
    """Measure; one thread computes, and all actors share a process of their own."""
    torch.set_num_threads(1)
    return [row for actors in ACTORS for row in _measure(actors, 4.0 if quick else 15.0)]


def _measure(actors: int, seconds: float) -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        path = Path(folder) / "journal.sqlite"
        journal = stack.enter_context(TransitionJournal(path))
        hub = LearnerHub(journal, SPEC.env)
        server = stack.enter_context(LinkServer(hub, "127.0.0.1", 0))
        reader = stack.enter_context(TransitionJournal(path, read_only=True))
        url = f"ws://127.0.0.1:{server.port}/v1/link"
        command = [sys.executable, "-m", "benchmarks.actors", url, str(actors)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            return _learn(actors, seconds, hub, reader, process)
        finally:
            process.kill()
            process.wait()


def _learn(
    actors: int, seconds: float, hub: LearnerHub, journal: TransitionJournal, process: subprocess.Popen[str]
) -> list[dict[str, Any]]:
    spaces = build_space(SPEC.observation), build_space(SPEC.action)
    replay = ReplayBuffer(*spaces, 100_000, seed=0)
    agent = SACAgent.create_states(OBSERVATION, ACTION, SacConfig(critic_ensemble_size=2, critic_subsample_size=None))
    progress, stop = Progress(10**9), StopSignal()
    intervals = LoopIntervals(1, publish_every=1, log_every=10**9, checkpoint_every=0, silence_s=30.0)
    trainer = Trainer(agent, intervals, Logger([]), None, progress)
    loader, schedule = ReplayLoader(journal, replay, 1, 0.99), Schedule(10**9, 50, None, None)
    loop = LearnerLoop(trainer, loader, hub, schedule, intervals, SuccessGoal(None, Path()))
    batches = TensorBatches(MixedBatches([(replay, 1.0)], _BATCH), torch.device("cpu"))
    loop.gather(stop)
    assert process.stdout is not None
    process.stdout.readline()  # all actors are connected
    timer = threading.Timer(seconds, stop.set)
    first, stored = progress.updates, hub.env_steps
    start_s, process_s, thread_s = time.perf_counter(), time.process_time(), time.thread_time()
    timer.start()
    loop.run(batches, stop)
    duration_s = time.perf_counter() - start_s
    process_s, thread_s = time.process_time() - process_s, time.thread_time() - thread_s
    updates, transitions = progress.updates - first, hub.env_steps - stored
    lags = [actor["lag"] for actor in hub.status()["actors"].values()]
    return [
        _row(f"updates beside {actors} actors", updates / duration_s, "1/s", f"256-256, batch of {_BATCH}"),
        _row(f"an update beside {actors} actors", 1000 * thread_s / max(1, updates), "ms", "CPU of the learner's loop"),
        _row(f"the link of {actors} actors", (process_s - thread_s) / duration_s, "CPUs", "of the learner's process"),
        _row(f"transitions of {actors} actors", transitions / duration_s, "1/s", f"{actors * HZ} are made"),
        _row(f"lag of {actors} actors' weights", float(np.median(lags)), "updates", "median, at the last heartbeat"),
    ]


def act(url: str, actors: int) -> None:
    """Be so many actors, until somebody ends this process."""
    transition = _transition()
    with ExitStack() as stack:
        links = [
            stack.enter_context(
                LearnerLink(ClientSettings(url), Handshake(actor=f"actor-{n}", attempt="1", spec=SPEC), 120.0)
            )
            for n in range(actors)
        ]
        print("connected", flush=True)
        due_s = time.perf_counter()
        while True:
            for link in links:
                link.send(transition)
                link.take_weights()
                due_s += 1.0 / HZ / actors
                time.sleep(max(0.0, due_s - time.perf_counter()))


if __name__ == "__main__":
    act(sys.argv[1], int(sys.argv[2]))
