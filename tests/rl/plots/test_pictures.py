"""Pictures of offline trainings: what is drawn of the metrics."""

from __future__ import annotations

import json

import numpy as np
import pytest
from matplotlib.figure import Figure

from rl.plots.pictures import draw_curves


@pytest.mark.parametrize(
    ("losses", "scale"), [([100.0, 1.0], "log"), ([99.0, 1.0], "linear"), ([100.0, 0.0], "linear"), ([], "linear")]
)
def test_an_axis_is_logarithmic_where_its_values_span_two_powers_of_ten(tmp_path, monkeypatch, losses, scale):
    figures: list[Figure] = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, *_, **__: figures.append(figure))
    rows = [{"step": epoch, "train/loss": loss, "held_out/loss": None} for epoch, loss in enumerate(losses, start=1)]
    metrics = tmp_path / "metrics.jsonl"
    metrics.write_text("".join(json.dumps(row) + "\n" for row in rows))
    draw_curves(metrics, tmp_path / "curve.png", {"cross-entropy (nats)": ("train/loss", "held_out/loss")})
    (axes,) = figures[0].axes
    assert (axes.get_xscale(), axes.get_yscale()) == ("linear", scale)
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("epoch", "cross-entropy (nats)")
    assert [line.get_label() for line in axes.lines] == ["training", "held out"]
    np.testing.assert_array_equal(axes.lines[0].get_ydata(), losses)
