"""Every ending of a command has its exit status, and an error is one sentence."""

from __future__ import annotations

import pytest

from rl.cli.endings import exit_status
from rl.errors import ConfigError, EnvironmentFailed


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (ConfigError("steps are few"), 2, "error: steps are few\n"),
        (EnvironmentFailed("the robot is off"), 2, "error: the robot is off\n"),
        (ModuleNotFoundError("no", name="torch"), 2, "pip install 'robotkit[rl]'"),
        (OSError(28, "No space left on device"), 1, "error: [Errno 28] No space left on device\n"),
        (KeyboardInterrupt(), 130, ""),
    ],
)
def test_an_error_becomes_a_sentence_and_a_status(error, status, said, capsys: pytest.CaptureFixture[str]):
    def fail() -> None:
        raise error

    assert exit_status(fail) == status
    err = capsys.readouterr().err
    assert said in err
    assert bool(err) == bool(said)


def test_a_command_that_does_its_work_ends_with_0():
    assert exit_status(lambda: None) == 0


def test_a_mistake_in_the_code_is_no_sentence():
    for mistake in (ModuleNotFoundError("no", name="rl.nothing"), ZeroDivisionError()):

        def fail(mistake: Exception = mistake) -> None:
            raise mistake

        with pytest.raises(type(mistake)):
            exit_status(fail)
