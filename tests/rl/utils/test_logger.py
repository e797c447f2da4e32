"""Metrics become plain numbers once and reach every sink."""

import json
import sys

import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from rl import SAC
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


class FakeWandb:
    """The package, as far as it is used: `log` drops what is logged at a step of the past, as the real one does."""

    class Error(Exception):
        pass

    def __init__(self):
        self.gone = set()
        self.inits, self.logged, self.axes, self.finished, self._newest, self.id = [], [], [], 0, 0, None

    def init(self, **settings):
        self.inits.append(settings)
        if settings.get("id") in self.gone:
            raise self.Error("run new-1 was deleted")
        self.id = settings.get("id", f"new-{len(self.inits)}")
        return self

    def define_metric(self, name, step_metric=None):
        self.axes.append((name, step_metric))

    def log(self, metrics, step=None):
        self._newest = self._newest + 1 if step is None else max(self._newest, step)
        if step in (None, self._newest):
            self.logged.append(metrics)

    def finish(self):
        self.finished += 1


@pytest.fixture
def wandb(monkeypatch):
    fake = FakeWandb()
    monkeypatch.setitem(sys.modules, "wandb", fake)
    return fake


def test_l10_wandb_gets_every_number_also_of_a_step_in_the_past_and_the_settings(tmp_path, wandb):
    with make_logger(tmp_path, tensorboard=False, wandb_project="project", config={"seed": 3}) as logger:
        logger.log(300, METRICS)
        logger.log(200, {"evaluation": {"return_mean": 1.5}})
    assert wandb.logged == [{**FLAT, "env_steps": 300}, {"evaluation/return_mean": 1.5, "env_steps": 200}]
    assert ("*", "env_steps") in wandb.axes
    assert wandb.inits == [{"project": "project", "dir": str(tmp_path), "config": {"seed": 3}}]
    assert wandb.finished == 1


def test_l10_a_run_that_is_continued_is_the_same_run_at_wandb(tmp_path, wandb):
    for _ in range(2):
        make_logger(tmp_path, tensorboard=False, wandb_project="project").close()
    assert (wandb.inits[1]["id"], wandb.inits[1]["resume"]) == ("new-1", "must")


def test_l10_a_run_that_was_deleted_at_wandb_costs_no_resume(tmp_path, wandb, caplog):
    make_logger(tmp_path, tensorboard=False, wandb_project="project").close()
    wandb.gone = {"new-1"}
    for _ in range(2):
        make_logger(tmp_path, tensorboard=False, wandb_project="project").close()
    assert [asked.get("id") for asked in wandb.inits] == [None, "new-1", None, "new-3"]
    assert "does not go on with run new-1" in caplog.text


def test_l10_what_wandb_refuses_of_a_new_run_is_raised(tmp_path, wandb):
    wandb.gone = {None}
    with pytest.raises(wandb.Error):
        make_logger(tmp_path, tensorboard=False, wandb_project="project")


def test_l10_a_training_tells_wandb_its_configuration_without_the_token(tmp_path, wandb):
    with SAC("tests.support.tiny_env:FollowTarget-v0", out=tmp_path / "run", wandb_project="project") as agent:
        agent.train(2)
    (asked,) = wandb.inits
    assert asked["config"]["env"] == "tests.support.tiny_env:FollowTarget-v0"
    assert asked["config"]["agent"]["discount"] == 0.99
    assert "token" not in asked["config"]["link"]


def test_r6_a_full_disk_costs_metrics_and_no_training(tmp_path, wandb, caplog):
    (tmp_path / "metrics.jsonl").symlink_to("/dev/full")
    with make_logger(tmp_path, tensorboard=False, wandb_project="project") as logger:
        for step in range(5):
            assert logger.log(step, METRICS) == FLAT
    assert len(wandb.logged) == 5, "the other sinks get everything"
    assert [record.message.split(":")[0] for record in caplog.records] == [
        "JsonLines cannot log the metrics",
        "JsonLines lost its last metrics",
    ]
