"""What is read of a run's metrics while it writes them, and after it was killed."""

from __future__ import annotations

from pathlib import Path

import pytest

from rl.plots.learning_curve import draw_curve, last_step
from rl.plots.pictures import draw_curves
from rl.training.doctor.read_run import read_lines
from rl.utils.logger import JsonLines, Logger
from rl.utils.metrics_file import read_metrics


@pytest.fixture
def metrics(tmp_path: Path) -> Path:
    path = tmp_path / "metrics.jsonl"
    with Logger([JsonLines(path)]) as logger:
        for step in (10, 20, 30):
            logger.log(step, {"train": {"loss": 1.0 / step}, "evaluation": {"return_mean": step, "success_rate": 0.5}})
    return path


def test_a_file_that_is_cut_at_any_byte_has_the_lines_that_are_whole(metrics: Path):
    whole, content = read_metrics(metrics), metrics.read_bytes()
    ends = [at for at, byte in enumerate(content) if byte == ord("\n")]
    for cut in range(len(content)):
        metrics.write_bytes(content[:cut])
        assert read_metrics(metrics) == whole[: sum(end <= cut for end in ends)]


@pytest.mark.parametrize("damage", ["{", "7", "null", "[1]", '{"train/loss": 1.0}', "\x00\x00\x00", '{"step": 20, "tr'])
def test_pictures_and_doctor_pass_over_a_damaged_line(metrics: Path, damage: str):
    whole = read_metrics(metrics)
    first, *rest = metrics.read_text().splitlines(keepends=True)
    metrics.write_text(f"{first}{damage}\n{''.join(rest)}")
    assert read_metrics(metrics) == whole
    assert [line["step"] for line in read_lines(metrics)] == [10.0, 20.0, 30.0]
    assert last_step(metrics) == 30
    draw_curve(metrics, metrics.with_name("run.png"), expert_return=30.0)
    draw_curves(metrics, metrics.with_name("curve.png"), {"loss": ("train/loss",)})
    assert metrics.with_name("run.png").stat().st_size > 0 < metrics.with_name("curve.png").stat().st_size
