"""The demonstrations of a task, recorded when they are first needed and kept beside the results."""

from __future__ import annotations

import hashlib
import json
import tempfile
from dataclasses import asdict
from pathlib import Path

from rich.console import Console

from benchmarks.learning.tables import RunSpec
from benchmarks.learning.variants import OWN_RUNNER, make_config
from rl.errors import ConfigError
from rl.recording.options import RecordDemosOptions
from rl.recording.record_demos import run_record_demos
from rl.wrappers.adapter_config import EnvAdapterConfig


def find_demonstrations(spec: RunSpec, folder: Path) -> Path | None:
    """The file with the demonstrations of a run as its agent observes them; None where its task has none.

    The recording is that of `robotkit-train record demos`: a task's seed always leads to the same episodes.

    Args:
        spec: the run.
        folder: of the files; made when it is missing.

    Raises:
        ConfigError: they cannot be recorded as this variant wants them.
        DataError: the expert failed too often.
    """
    task = spec.task
    if not task.demonstrations:
        return None
    adaptation = EnvAdapterConfig()
    if spec.how.runner == OWN_RUNNER:
        adaptation = make_config(spec.how, task, spec.seed, spec.steps).adaptation()
    facts = json.dumps([asdict(task), asdict(adaptation)], sort_keys=True)
    path = folder / f"{hashlib.sha256(facts.encode()).hexdigest()[:16]}.sqlite"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as drafts:
            draft = Path(drafts) / path.name
            run_record_demos(_options(spec, adaptation, draft), Console(quiet=True))
            draft.replace(path)
    return path


def _options(spec: RunSpec, adaptation: EnvAdapterConfig, out: Path) -> RecordDemosOptions:
    task = spec.task
    options = RecordDemosOptions(
        task.env, out, expert=task.expert, episodes=task.demonstrations, seed=task.demonstrations_seed,
        frame_stack=adaptation.frame_stack, sees_images=adaptation.sees_images, cameras=adaptation.cameras,
        images=adaptation.images,
    )  # fmt: skip
    if options.adaptation() != adaptation:
        raise ConfigError(
            f"{spec.name} wants {adaptation}, and demonstrations are recorded without action_repeat and "
            "reward_classifier: leave these options out of the variant, or choose a task without demonstrations"
        )
    return options
