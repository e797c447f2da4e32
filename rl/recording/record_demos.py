"""Recording demonstrations: `python -m rl record-demos`."""

from __future__ import annotations

from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from rl.data.demos import DemoSummary, record_demos
from rl.errors import ConfigError
from rl.plots.episode_pictures import draw_demos
from rl.recording.experts import Expert, ExpertWrapper, ZeroAction, load_factory
from rl.wrappers.make_env import EnvAdapterConfig, adapt, open_env
from rl.wrappers.pixel_observation import ImagesConfig
from rl.wrappers.tcp_position import find_tool_position


@dataclass(frozen=True)
class RecordDemosOptions:
    """Record successful episodes of a person or of a script.

    Raises:
        ConfigError: a number is out of range, or nobody would act.
    """

    env: str
    """Gymnasium id; `module:Id-v0` imports the module first."""
    out: Path
    """Demonstration file to write; a picture of it, under its name with .png, comes beside it."""
    cell: str | None = None
    """Workcell: a name, a .toml file or the URL of a robot server."""
    human: str | None = None
    """Who acts: spacemouse, gamepad, keyboard, or expert (the environment's own script)."""
    expert: str | None = None
    """A script that acts instead: `module:factory`, called with the environment, makes an object with
    `reset(observation)` and `act(observation)`."""
    resume: bool = False
    """Go on with a recording that was broken off."""
    episodes: int = 20
    """Successful episodes to keep."""
    attempts: int = 5
    """Give up after so many attempts for each of them."""
    seed: int = 0
    """The attempts' seeds are drawn from it."""
    frame_stack: int = 1
    """Newest observations that the agent will see together, as in training."""
    sees_images: bool = False
    """Record images and state apart, for `--agent drq`."""
    cameras: tuple[str, ...] | None = None
    """Cameras to record; all by default."""
    images: ImagesConfig = field(default_factory=ImagesConfig)
    """How images are handed over, as in training."""
    reward_classifier: Path | None = None
    """Directory of the classifier whose prediction is the only reward, as in training; it also says what succeeded."""

    def __post_init__(self) -> None:
        """Refuse what cannot be recorded."""
        if self.episodes < 1 or self.attempts < 1:
            raise ConfigError("--episodes and --attempts must be at least 1")
        if (self.human is None) == (self.expert is None):
            raise ConfigError("say who acts, once: --human expert, --human spacemouse or --expert module:factory")

    def adaptation(self) -> EnvAdapterConfig:
        """How the environment will look to the agent."""
        classifier = None if self.reward_classifier is None else str(self.reward_classifier)
        return EnvAdapterConfig(1, self.frame_stack, self.sees_images, self.cameras, self.images, classifier)


def run_record_demos(options: RecordDemosOptions, console: Console) -> DemoSummary:
    """Record, with a progress bar, say what came of it, and draw it.

    Raises:
        ConfigError: environment, expert or device are not there.
        DataError: the file exists already, or there were too many failures.
    """
    options.out.parent.mkdir(parents=True, exist_ok=True)
    raw = open_env(options.env, options.cell, human=options.human)
    expert: Expert = ZeroAction(raw) if options.expert is None else load_factory(options.expert)(raw)
    expert_env = ExpertWrapper(raw, expert)
    adaptation = options.adaptation()
    origin = {"env": options.env, **asdict(adaptation)}
    columns = (TextColumn("demonstrations"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"))
    with closing(adapt(expert_env, adaptation)) as env, Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=options.episodes)
        summary = record_demos(
            options.out,
            env,
            lambda _: expert_env.act(),
            options.episodes,
            options.seed,
            attempts_per_episode=options.attempts,
            origin=origin,
            resume=options.resume,
            on_attempt=lambda kept, attempts: bar.update(task, completed=kept, description=f"{attempts} attempts"),
        )
    console.print(
        f"{options.out}: {summary.episodes} episodes, {summary.transitions} transitions, "
        f"mean return {summary.return_mean:.4g}",
        highlight=False,
        soft_wrap=True,
    )
    picture = options.out.with_suffix(".png")
    draw_demos(options.out, picture, find_tool_position(raw.observation_space))
    console.print(f"{picture}: its returns, lengths, actions and paths", highlight=False, soft_wrap=True)
    return summary
