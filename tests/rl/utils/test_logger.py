"""Metrics become plain numbers once and reach every sink."""

import json
import sys

import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from rl.errors import ConfigError, MissingExtra
from rl.utils.logger import JsonLines, Logger, make_logger, to_floats

METRICS = {
    "critic": {"loss": torch.tensor(2.0, requires_grad=True), "q": {"mean": torch.tensor([0.25])}},
    "rate": np.float32(0.5),
    "count": 3,
    "ok": True,
}
FLAT = {"critic/loss": 2.0, "critic/q/mean": 0.25, "rate": 0.5, "count": 3.0, "ok": 1.0}


def test_nested_metrics_become_flat_floats():
    numbers = to_floats(METRICS)
    assert numbers == FLAT
    assert list(numbers) == list(FLAT)
    assert all(type(value) is float for value in numbers.values())


@pytest.mark.parametrize("value", [torch.zeros(2), np.zeros(2), "text", None, [1]])
def test_what_is_no_number_is_refused(value):
    with pytest.raises(ConfigError, match="a/b"):
        to_floats({"a": {"b": value}})


def test_every_line_is_on_disk_at_once_and_a_resumed_run_appends(tmp_path):
    path = tmp_path / "run" / "metrics.jsonl"
    for step in (1, 2):
        sink = JsonLines(path)
        Logger([sink]).log(step, METRICS | {"broken": float("nan")})
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        assert [line["step"] for line in lines] == list(range(1, step + 1))
        assert lines[-1]["broken"] is None
        assert lines[-1]["critic/loss"] == 2.0
        sink.close()


def test_tensorboard_gets_the_same_numbers(tmp_path):
    with make_logger(tmp_path) as logger:
        logger.log(7, METRICS)
    events = EventAccumulator(str(tmp_path / "tensorboard" / "metrics")).Reload()
    assert set(events.Tags()["scalars"]) == set(FLAT)
    assert [(event.step, event.value) for event in events.Scalars("critic/loss")] == [(7, 2.0)]
    assert json.loads((tmp_path / "metrics.jsonl").read_text())["rate"] == 0.5


def test_a_missing_package_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(MissingExtra, match=r"robotkit\[wandb\]"):
        make_logger(tmp_path, tensorboard=False, wandb_project="project")


def test_wandb_gets_the_same_numbers(tmp_path, monkeypatch):
    logged = []

    class Run:
        def log(self, metrics, step):
            logged.append((step, metrics))

        def finish(self):
            logged.append("finished")

    class Module:
        init = staticmethod(lambda **settings: Run())

    monkeypatch.setitem(sys.modules, "wandb", Module)
    with make_logger(tmp_path, tensorboard=False, wandb_project="project") as logger:
        logger.log(3, METRICS)
    assert logged == [(3, FLAT), "finished"]
