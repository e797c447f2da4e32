"""P19: naming and listing environments loads no simulator and no learner."""

from __future__ import annotations

import subprocess
import sys

from tests.serving import REPOSITORY

PROGRAM = """
import contextlib, io, sys
import gymnasium, envs, rl
ids = [name for name in gymnasium.envs.registry if name.startswith("robotkit/")]
with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
    from rl.cli import main
    main(["list"])
print(len(ids) == len(envs.registration.TABLE) + len(envs.registration.DUAL_TABLE))
print(sorted({"torch", "mujoco", "numba", "sims"} & set(sys.modules)))
"""


def test_p19_listing_ids_presets_and_agents_loads_no_simulator_and_no_learner():
    run = subprocess.run([sys.executable, "-c", PROGRAM], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert run.stdout.split("\n")[:2] == ["True", "[]"], run.stdout + run.stderr
