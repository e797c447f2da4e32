"""The runner of SBX, Stable-Baselines3's algorithms in JAX: its SAC and CrossQ, by the class's name as preset.

The settings differ from SBX's defaults as those of the runner of Stable-Baselines3 do, for the same reasons. JAX
compiles each update once for each run, and its CPU-seconds count as training.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from benchmarks.learning.peers.sb3 import train
from benchmarks.learning.records import Evaluation
from benchmarks.learning.tables import RunSpec

_MODULES: Mapping[str, str] = {"SAC": "sbx", "CrossQ": "sbx"}
_ONE_THREAD = {
    "JAX_PLATFORMS": "cpu",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
}
"""Variables of the environment that JAX reads when it is imported."""


def run(spec: RunSpec) -> tuple[Evaluation, ...]:
    """Train and evaluate; the errors are those of `benchmarks.learning.peers.sb3.train`."""
    os.environ.update(_ONE_THREAD)
    return train(spec, _MODULES)
