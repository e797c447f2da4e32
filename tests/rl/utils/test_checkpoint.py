"""Laws of checkpoints: what was saved comes back, and a crash or damage never costs more than the newest one."""

import random
import signal
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest
import torch

from rl.errors import CheckpointError, CheckpointNotFound, RunExists
from rl.utils.checkpoint import Checkpoints, load_checkpoint
from rl.utils.rng_state import rng_state, set_rng_state
from rl.utils.run_directory import claim_run


def state(step):
    return {"step": step, "weights": {"layer": torch.full((3,), float(step))}, "history": [1.5, None, True, "x"]}


def test_what_was_saved_comes_back(tmp_path):
    generator = np.random.default_rng(0)
    saved = state(4) | {"generator": generator.bit_generator.state, "rng": rng_state()}
    Checkpoints(tmp_path).save(4, saved)
    step, loaded = Checkpoints(tmp_path).load()
    assert step == 4
    assert loaded["history"] == saved["history"]
    assert loaded["generator"] == saved["generator"]
    torch.testing.assert_close(loaded["weights"]["layer"], saved["weights"]["layer"])


@pytest.mark.parametrize("error", [RuntimeError("unexpected pos 320 vs 214"), OSError("No space left on device")])
def test_r6_a_disk_that_fills_up_is_one_sentence_and_keeps_no_half_of_a_checkpoint(tmp_path, monkeypatch, error):
    """torch tells it as a RuntimeError."""
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(1, state(1))

    def fill_up(_, path):
        path.write_bytes(bytes(1000))
        raise error

    monkeypatch.setattr(torch, "save", fill_up)
    with pytest.raises(CheckpointError, match="cannot write the checkpoint"):
        checkpoints.save(2, state(2))
    monkeypatch.undo()
    assert [path.name for path in tmp_path.iterdir()] == ["step_000000000001"]
    assert checkpoints.load()[0] == 1
    checkpoints.save(2, state(2))
    assert checkpoints.load()[0] == 2


def test_only_the_newest_stay(tmp_path):
    checkpoints = Checkpoints(tmp_path, keep=2)
    for step in (1, 2, 30):
        checkpoints.save(step, state(step))
    assert checkpoints.steps() == [2, 30]
    assert checkpoints.load(2)[1]["step"] == 2
    with pytest.raises(CheckpointNotFound, match="no checkpoint of step 1"):
        checkpoints.load(1)


def test_saving_a_step_again_replaces_it(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(1, state(1))
    checkpoints.save(1, state(7))
    assert checkpoints.load()[1]["step"] == 7
    assert [path.name for path in tmp_path.iterdir()] == ["step_000000000001"]


@pytest.mark.parametrize("damage", ["flip", "cut", "no manifest", "broken manifest", "no state"])
def test_a_damaged_checkpoint_falls_back_to_the_one_before(tmp_path, damage):
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(1, state(1))
    newest = checkpoints.save(2, state(2))
    content = bytearray((newest / "state.pt").read_bytes())
    if damage == "flip":
        content[len(content) // 2] ^= 255
        (newest / "state.pt").write_bytes(content)
    elif damage == "cut":
        (newest / "state.pt").write_bytes(content[:-10])
    elif damage == "no manifest":
        (newest / "manifest.json").unlink()
    elif damage == "broken manifest":
        (newest / "manifest.json").write_text("{")
    else:
        (newest / "state.pt").unlink()
    assert checkpoints.load()[0] == 1
    with pytest.raises(CheckpointError, match="damaged"):
        checkpoints.load(2)


def test_nothing_to_load(tmp_path):
    with pytest.raises(CheckpointNotFound):
        Checkpoints(tmp_path / "none").load()
    with pytest.raises(CheckpointError):
        Checkpoints(tmp_path, keep=0)


@pytest.mark.parametrize("value", [np.zeros(2), object(), {1, 2}, np.float32(1)])
def test_what_could_not_be_read_back_is_refused_at_once(tmp_path, value):
    with pytest.raises(CheckpointError, match=r"state\['deep'\]\[0\]"):
        Checkpoints(tmp_path).save(1, {"deep": [value]})
    assert not list(tmp_path.iterdir())


def test_random_generators_continue(tmp_path):
    Checkpoints(tmp_path).save(1, {"rng": rng_state()})
    expected = (random.random(), np.random.normal(), torch.rand(2).tolist())
    set_rng_state(Checkpoints(tmp_path).load()[1]["rng"])
    assert (random.random(), np.random.normal(), torch.rand(2).tolist()) == expected


WRITER = textwrap.dedent("""
    import sys, torch
    from rl.utils.checkpoint import Checkpoints, load_checkpoint
    checkpoints = Checkpoints(sys.argv[1], keep=2)
    step = checkpoints.steps()[-1] + 1 if checkpoints.steps() else 1
    print("start", flush=True)
    while True:
        checkpoints.save(step, {"step": step, "weights": torch.full((100_000,), float(step))})
        print(step, flush=True)
        step += 1
""")


def test_a_writer_killed_at_random_moments_leaves_its_last_checkpoint(tmp_path):
    generator = np.random.default_rng(1)
    saved = 0
    for _ in range(3):
        writer = subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
        writer.stdout.readline()
        time.sleep(generator.uniform(0.05, 0.25))
        writer.send_signal(signal.SIGKILL)
        lines = writer.stdout.read().splitlines()
        writer.stdout.close()
        writer.wait()
        saved = int(lines[-1]) if lines else saved
        if saved:
            step, loaded = Checkpoints(tmp_path).load()
            assert step >= saved
            assert loaded["step"] == step
            assert (loaded["weights"] == step).all()
    assert saved


def test_a_run_directory_is_claimed_once(tmp_path):
    facts = {"env": "PandaPickCube-v0", "seed": 3}
    with pytest.raises(CheckpointNotFound, match="without resume"):
        claim_run(tmp_path / "run", resume=True, facts=facts)
    assert claim_run(tmp_path / "run", resume=False, facts=facts) == facts
    with pytest.raises(RunExists, match="already holds a run: continue it with load"):
        claim_run(tmp_path / "run", resume=False, facts=facts)
    assert claim_run(tmp_path / "run", resume=True, facts={}) == facts
    (tmp_path / "run" / "run.json").write_text("{")
    with pytest.raises(CheckpointError, match="cannot be read"):
        claim_run(tmp_path / "run", resume=True, facts={})
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError, match="cannot start"):
        claim_run(tmp_path / "file" / "run", resume=False, facts=facts)


def test_a_path_names_one_checkpoint_or_the_newest(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    paths = [checkpoints.save(step, state(step)) for step in (3, 12)]
    assert [load_checkpoint(path)[0] for path in (*paths, tmp_path)] == [3, 12, 12]
    with pytest.raises(CheckpointNotFound):
        load_checkpoint(tmp_path / "step_000000000004")


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_p9_what_is_not_finite_is_not_saved_and_not_resumed_from(tmp_path, monkeypatch, bad):
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(1, {"agent": {"layers": [torch.ones(3), torch.tensor([1, 2])]}})
    poisoned = {"agent": {"layers": [torch.tensor([1.0, bad, 0.0]), torch.tensor([1, 2])]}}
    with pytest.raises(CheckpointError, match=r"agent\.layers\[0\] is not finite"):
        checkpoints.save(2, poisoned)
    assert checkpoints.steps() == [1]
    with monkeypatch.context() as earlier:
        earlier.setattr("rl.utils.checkpoint.find_non_finite", lambda state: None)
        checkpoints.save(2, poisoned)
    assert checkpoints.load()[0] == 1, "one that an earlier version wrote is passed over"
    with pytest.raises(CheckpointError, match="of no use"):
        checkpoints.load(2)
