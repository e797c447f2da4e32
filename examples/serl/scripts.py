"""The table of SERL's scripts: which program each of them starts, and with what flags."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from examples.serl_envs import BIN, CABLE, PCB, PEG, env_id

Words = tuple[str, ...]
_EXPERT = ("--human", "expert")
"""The task's scripted expert; a person demonstrates with `record_demo.sh --cell URL --human spacemouse`."""


@dataclass(frozen=True)
class Command:
    """The program that a script starts."""

    module: str
    """Name of the module, for `python -m`."""
    words: Words
    """Its flags; those of the caller come after them."""


@dataclass(frozen=True)
class Example:
    """A folder of SERL's: what its scripts set."""

    env: str
    exp_name: str
    part: str
    """How files under runs/ begin."""
    program: str = "async_drq_randomized"
    """Module in the folder that is learner and actor."""
    random_steps: int = 0
    training_starts: int = 200
    critic_actor_ratio: int = 4
    checkpoint_period: int | None = 1000
    demonstrator: Words | None = _EXPERT
    """The one who demonstrates; None where nothing is recorded."""
    ways: tuple[str, ...] = ()
    """Tasks that alternate, each with a learner of its own."""
    classifier: Words | None = None
    """Options of its reward classifier, for a cell that does not track the object; None where success needs none. It
    is trained on frames of `robotkit-train record success`."""


EXAMPLES: Mapping[str, Example] = {
    "async_sac_state_sim": Example(
        program="async_sac_state_sim",
        env="PandaPickCube-v0",
        exp_name="serl_dev_sim_test",
        part="pick_cube",
        random_steps=1000,
        training_starts=1000,
        critic_actor_ratio=8,
        checkpoint_period=None,
        demonstrator=None,
    ),
    "async_drq_sim": Example(
        program="async_drq_sim",
        env="PandaPickCubeVision-v0",
        exp_name="serl_dev_drq_sim_test",
        part="pick_cube",
        random_steps=1000,
        training_starts=1000,
        checkpoint_period=None,
        demonstrator=("--expert", "envs.experts.tracker:pick_cube"),
    ),
    "async_peg_insert_drq": Example(
        env=PEG,
        exp_name="serl_dev_drq_rlpd20demos_peg_insert",
        part="peg_insert",
    ),
    "async_pcb_insert_drq": Example(
        env=PCB,
        exp_name="serl_dev_drq_rlpd20demos_pcb_insert",
        part="pcb_insert",
    ),
    "async_cable_route_drq": Example(
        env=CABLE,
        exp_name="serl_dev_drq_rlpd20demos_cable_route",
        part="cable_route",
        classifier=(),
    ),
    "async_bin_relocation_fwbw_drq": Example(
        env=BIN,
        exp_name="serl_dev_drq_rlpd20demos_bin_fwbw",
        part="bin",
        random_steps=200,
        ways=("fw", "bw"),
        classifier=("--image-keys", "front"),
    ),
}


def _scripts_of(folder: str, example: Example) -> Iterator[tuple[str, Command]]:
    """The scripts of a folder by name, those of each way among them."""
    yield "run_actor.sh", _actor(folder, example)
    for way in example.ways or (None,):
        infix, part = ("", example.part) if way is None else (f"{way}_", f"{example.part}_{way}")
        yield f"run_{infix}learner.sh", _learner(folder, example, part, way)
        if example.demonstrator is not None:
            yield f"record_{infix}demo.sh", _recording(folder, example, part, way)
        if example.classifier is not None:
            yield f"train_{infix}classifier.sh", _classifier(part, example.classifier)


def _actor(folder: str, example: Example) -> Command:
    return Command(f"examples.{folder}.{example.program}", ("--actor", *_learning(example)))


def _learner(folder: str, example: Example, part: str, way: str | None) -> Command:
    direction = () if way is None else ("--fwbw", way)
    demos = () if example.demonstrator is None else ("--demo_path", _demos(part))
    period = () if example.checkpoint_period is None else ("--checkpoint_period", str(example.checkpoint_period))
    words = ("--learner", *direction, *_learning(example), *demos, *period)
    return Command(f"examples.{folder}.{example.program}", words)


def _recording(folder: str, example: Example, part: str, way: str | None) -> Command:
    who = example.demonstrator or ()
    if way is not None:
        options = ("--fwbw", way, *who, "--successes_needed", "20", "--demo_path", _demos(part))
        return Command(f"examples.{folder}.record_demo", options)
    where = ("--env", env_id(example.env), "--sees-images")
    return Command("rl", ("record", "demos", *where, *who, "--episodes", "20", "--out", _demos(part)))


def _classifier(part: str, options: Words) -> Command:
    frames = (f"runs/{part}_frames/{kind}.sqlite" for kind in ("positives", "negatives"))
    files = (word for pair in zip(("--positives", "--negatives"), frames, strict=True) for word in pair)
    return Command("rl", ("classifier", *files, *options, "--out", f"runs/{part}_classifier"))


def _learning(example: Example) -> Words:
    """Flags that learner and actor share."""
    flags = {
        "env": example.env,
        "exp_name": example.exp_name,
        "seed": 0,
        "random_steps": example.random_steps,
        "training_starts": example.training_starts,
        "critic_actor_ratio": example.critic_actor_ratio,
        "batch_size": 256,
    }
    return (*(word for name, value in flags.items() for word in (f"--{name}", str(value))), "--debug")


def _demos(part: str) -> str:
    return f"runs/{part}_20_demos.sqlite"


SCRIPTS: Mapping[str, Command] = {
    **{
        f"{folder}/{name}": command
        for folder, example in EXAMPLES.items()
        for name, command in _scripts_of(folder, example)
    },
    "bc_policy/run_bc.sh": Command(
        "examples.bc_policy.bc_policy",
        ("--env", PEG, "--exp_name", "bc_peg_insert", "--seed", "0", "--demo_paths", _demos("peg_insert")),
    ),
}
"""The program of each script, by the path of the script under `examples/`."""
