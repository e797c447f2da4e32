"""The processes of runs: a fresh one for each run, several at a time, none of which outlives the program."""

from __future__ import annotations

import importlib
import multiprocessing
import os
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerProcess
from typing import Any

from benchmarks.learning.records import Evaluation
from benchmarks.learning.tables import RunSpec
from benchmarks.learning.variants import OWN_RUNNER

Evaluations = tuple[Evaluation, ...]


def train_all(specs: Sequence[RunSpec], jobs: int) -> Iterator[tuple[RunSpec, Evaluations | None]]:
    """Train, in the order of the specs, and yield each result when it is there.

    Args:
        specs: the runs.
        jobs: processes at a time, each with one thread.

    Yields:
        A run and its evaluations; None where it failed, which its process has explained on stderr.
    """
    # Processes are copies of a server that has imported what is slow to import, and has done nothing else.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([OWN_RUNNER.partition(":")[0]])
    waiting, running = deque(specs), dict[Connection, tuple[RunSpec, ForkServerProcess]]()
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                spec = waiting.popleft()
                here, there = context.Pipe()
                process = context.Process(target=_work, args=(spec, there), name=spec.name)
                process.start()
                there.close()
                running[here] = spec, process
            for done in wait(list(running)):
                assert isinstance(done, Connection)
                spec, process = running.pop(done)
                yield spec, _take(done)
                process.join()
    finally:
        for connection, (_, process) in running.items():
            connection.close()
            process.join()


def _take(connection: Connection) -> Evaluations | None:
    """The result of a process that has sent one; None where it ended before."""
    try:
        result: Evaluations = connection.recv()
    except (EOFError, OSError):
        return None
    finally:
        connection.close()
    return result


def _work(spec: RunSpec, connection: Connection) -> None:
    """Train in this process, and send the result."""
    os.setpgrp()  # Ctrl+C reaches the program alone, which then ends this process by closing its connection
    result = threading.Event()
    threading.Thread(target=_end_with, args=(connection, result), daemon=True).start()
    evaluations = load_runner(spec.how.runner)(spec)
    result.set()
    connection.send(evaluations)


def _end_with(connection: Connection, result: threading.Event) -> None:
    """End this process when the other side of its connection is gone before there is a result."""
    connection.poll(None)
    if not result.is_set():
        os._exit(1)


def load_runner(name: str) -> Any:
    """The function `module:function`, after torch was told to compute on one thread."""
    import torch

    torch.set_num_threads(1)
    module, _, function = name.partition(":")
    return getattr(importlib.import_module(module), function)
