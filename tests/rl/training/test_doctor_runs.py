"""The training doctor names a fault that a real training has, and finds nothing in a healthy one."""

from __future__ import annotations

from pathlib import Path

import pytest

from rl import SAC
from rl.training.doctor.read_run import read_run
from rl.training.doctor.table import examine
from rl.training.doctor.verdicts import Diagnosis
from tests.rl.training.doctor_cases import HEALTHY, SICK
from tests.rl.training.small_agents import one_thread

__all__ = ["one_thread"]

FEW, MANY = 2, 10


def names(diagnosis: Diagnosis) -> list[str]:
    return [finding.name for finding in diagnosis.findings]


@pytest.mark.parametrize("fault", SICK)
@pytest.mark.parametrize("seeds", [FEW, pytest.param(MANY, marks=pytest.mark.slow)])
def test_a_fault_is_named_in_nine_of_ten_seeds(tmp_path: Path, fault: str, seeds: int):
    case = SICK[fault]
    found = [names(case.train(tmp_path / str(seed), seed)) for seed in range(seeds)]
    assert sum(case.finding in some for some in found) >= 0.9 * seeds, found


@pytest.mark.parametrize("kind", HEALTHY)
@pytest.mark.parametrize("seeds", [FEW, pytest.param(MANY, marks=pytest.mark.slow)])
def test_nothing_is_found_in_a_healthy_run(tmp_path: Path, kind: str, seeds: int):
    found = {seed: names(HEALTHY[kind].train(tmp_path / str(seed), seed)) for seed in range(seeds)}
    assert not {seed: some for seed, some in found.items() if some}


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(MANY))
def test_nothing_is_found_in_a_run_on_pendulum(tmp_path: Path, seed: int):
    with SAC("Pendulum-v1", seed=seed, out=tmp_path, batch_size=64, checkpoint_every=0) as agent:
        for _ in range(4):
            agent.train(1000)
            assert not names(examine(read_run(tmp_path)))
