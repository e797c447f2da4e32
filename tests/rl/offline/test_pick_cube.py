"""From a simulated cell to a reward function and to a clone, through the commands alone."""

import json

import numpy as np

from rl.cli import main
from rl.data.labelled_frames import read_frames
from rl.networks.reward_function import load_reward_classifier

STATE, VISION = "envs:PandaPickCube-v0", "envs:PandaPickCubeVision-v0"
EXPERT = "envs.experts.tracker:pick_cube"


def run(*arguments):
    main([str(argument) for argument in arguments])


def test_a_reward_classifier_of_the_simulated_cell(tmp_path):
    frames, out = tmp_path / "frames", tmp_path / "classifier"
    run("record", "success", "--env", VISION, "--out", frames, "--expert", EXPERT,
        "--image-size", 32, "--episodes", 8, "--positives", 10**6)  # fmt: skip
    run("classifier", "--positives", frames / "positives.sqlite", "--negatives", frames / "negatives.sqlite",
        "--out", out, "--image-keys", "front", "wrist", "--encoder.encoder-type", "compact", "--epochs", 20,
        "--batch-size", 64, "--learning-rate", "1e-3", "--held-out", "0.4", "--crop-padding", 1,
        "--threads", 1)  # fmt: skip
    facts = json.loads((out / "classifier.json").read_text())
    assert facts["metrics"]["balanced_accuracy"] > 0.85
    assert facts["episodes"] == {"train": 5, "tune": 2, "test": 1}
    classifier = load_reward_classifier(out)
    first, last = read_frames([frames / "negatives.sqlite"])[0], read_frames([frames / "positives.sqlite"])[0]
    start = {name: images[0] for name, images in first.images.items()}
    end = {name: images[-1] for name, images in last.images.items()}
    assert classifier.probability({"images": start}) < classifier.probability({"images": end})
    assert not classifier.is_success({"images": start})


def test_a_clone_of_the_scripted_expert(tmp_path, capsys):
    demos, out = tmp_path / "demos.sqlite", tmp_path / "run"
    run("record", "demos", "--env", STATE, "--out", demos, "--expert", EXPERT, "--episodes", 6)
    run("bc", "--demos", demos, "--out", out, "--epochs", 60, "--threads", 1, "--bc.std-min", 0.1,
        "--bc.activations", "relu", "--bc.use-layer-norm", "--bc.optimizer.learning-rate", "1e-3")  # fmt: skip
    rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    errors = np.array([row["held_out/mse"] for row in rows])
    assert errors[-10:].mean() < errors[0] / 3
    capsys.readouterr()
    run("evaluate", "--out", out, "--episodes", 1)
    said = capsys.readouterr().out
    assert "checkpoint after 60" in said
    assert "success" in said
