"""Ready-made callbacks: stop when an evaluation is good enough, keep the figures, show a progress bar."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rl.errors import ConfigError
from rl.training.callbacks import Callback, EpisodeEnd, Evaluation, Step, TrainingStart

if TYPE_CHECKING:
    from rich.progress import Progress


class StopOnEvaluation(Callback):
    """Stops the training when evaluations are good enough; `train` must be told to evaluate.

    Args:
        at_least: value that counts as good.
        metric: what is looked at, a key of `rl.common.evaluation.summarize`; `return_mean` where the environment does
            not report success.
        in_a_row: evaluations that must be good, one after the other.
    """

    def __init__(self, at_least: float, metric: str = "success_rate", in_a_row: int = 1) -> None:
        self._at_least, self._metric, self._in_a_row = at_least, metric, in_a_row
        self._good = 0

    def on_training_start(self, event: TrainingStart) -> None:
        """Look whether there will be evaluations.

        Raises:
            ConfigError: there are none.
        """
        if not event.evaluate_every:
            raise ConfigError("StopOnEvaluation needs evaluations: train(…, evaluate_every=500) makes one in 500 steps")

    def on_evaluation(self, event: Evaluation) -> bool:
        """Count the good evaluations.

        Raises:
            ConfigError: there is no such metric.
        """
        if self._metric not in event.values:
            raise ConfigError(
                f"evaluations of this environment have no {self._metric!r}; they have {', '.join(event.values)}. Give "
                "one of these as metric; success_rate needs an environment that puts `success` into its info"
            )
        self._good = self._good + 1 if event.values[self._metric] >= self._at_least else 0
        return self._good < self._in_a_row


class History(Callback):
    """Keeps what episodes and evaluations came to, for a plot; one object may go through several trainings."""

    def __init__(self) -> None:
        self.episodes: list[EpisodeEnd] = []
        """All episodes, oldest first."""
        self.evaluations: list[Evaluation] = []
        """All evaluations, oldest first."""

    def on_episode_end(self, event: EpisodeEnd) -> None:
        """Keep it."""
        self.episodes.append(event)

    def on_evaluation(self, event: Evaluation) -> None:
        """Keep it."""
        self.evaluations.append(event)


class ProgressBar(Callback):
    """Shows a bar with the steps, the time that is left, and the return of the last episode."""

    def __init__(self) -> None:
        self._bar: Progress | None = None

    def on_training_start(self, event: TrainingStart) -> None:
        """Show the bar."""
        from rich.progress import Progress

        self._bar = Progress()
        self._bar.add_task("training", total=event.steps)
        self._bar.start()

    def on_step(self, event: Step) -> None:
        """Move on by one step."""
        assert self._bar is not None
        self._bar.advance(self._bar.task_ids[0])

    def on_episode_end(self, event: EpisodeEnd) -> None:
        """Show the return."""
        assert self._bar is not None
        self._bar.update(self._bar.task_ids[0], description=f"return {event.values['return']:z.1f}")

    def on_training_end(self) -> None:
        """Leave the bar as it is."""
        if self._bar is not None:
            self._bar.stop()
