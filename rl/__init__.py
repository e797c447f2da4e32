"""The learner: networks, agents, data, and the loops of actor and learner, built on Gymnasium and PyTorch.

Train an agent in this process:

    from rl import SAC

    agent = SAC("Pendulum-v1", seed=0)
    agent.train(steps=5_000)
    agent.save("runs/pendulum")
    action = SAC.load("runs/pendulum").predict(observation)

The names of `__all__` are loaded when they are first used, so that `import rl` needs no PyTorch. Import other names
from their packages: `rl.agents`, `rl.data`, `rl.networks` …
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rl.agents.continuous.drq_config import DrqConfig
    from rl.agents.continuous.proposal_config import ProposalConfig
    from rl.agents.continuous.sac_config import SacConfig
    from rl.common.encoder_config import EncoderConfig
    from rl.errors import RlError
    from rl.training.algorithms import SAC, DrQ
    from rl.training.callbacks import Callback, StopTraining
    from rl.training.ready_callbacks import History, ProgressBar, StopOnEvaluation

_HOMES = {
    "SAC": "rl.training.algorithms",
    "Callback": "rl.training.callbacks",
    "DrQ": "rl.training.algorithms",
    "DrqConfig": "rl.agents.continuous.drq_config",
    "EncoderConfig": "rl.common.encoder_config",
    "History": "rl.training.ready_callbacks",
    "ProgressBar": "rl.training.ready_callbacks",
    "ProposalConfig": "rl.agents.continuous.proposal_config",
    "RlError": "rl.errors",
    "SacConfig": "rl.agents.continuous.sac_config",
    "StopOnEvaluation": "rl.training.ready_callbacks",
    "StopTraining": "rl.training.callbacks",
}

__all__ = [
    "SAC",
    "Callback",
    "DrQ",
    "DrqConfig",
    "EncoderConfig",
    "History",
    "ProgressBar",
    "ProposalConfig",
    "RlError",
    "SacConfig",
    "StopOnEvaluation",
    "StopTraining",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'rl' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
