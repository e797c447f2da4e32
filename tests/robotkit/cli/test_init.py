"""`robotkit init`: a workcell file that passes every check, and nothing that was there is lost."""

from __future__ import annotations

import builtins
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

import pytest

import robotkit as rk
from robotkit.cli import cell_writer, main
from robotkit.cli.cell_text import with_value
from robotkit.cli.cell_writer import TEMPLATES
from robotkit.cli.init import TemplateName
from robotkit.drivers.fake import FakeRobot, FakeRobotConfig
from robotkit.registry import robots
from robotkit.safety.fitness import NEEDED
from tests.support.answering import Person

NAMES = get_args(TemplateName)
FLAGS = {"plugin": ("--robot", "fake")}


@pytest.fixture(autouse=True)
def _nobody_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In an empty folder, where a question fails the test."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(builtins, "input", lambda question: pytest.fail(f"it asked {question!r}"))


def flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    found = {}
    for key, value in tree.items():
        found |= flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
    return found


def changes(text: str, template: str) -> dict[str, Any]:
    """What differs from the template's values."""
    before, after = flat(tomllib.loads(TEMPLATES[template].text())), flat(tomllib.loads(text))
    assert before.keys() <= after.keys()
    return {key: value for key, value in after.items() if before.get(key) != value}


@pytest.mark.parametrize("template", NAMES)
def test_every_template_becomes_a_cell_without_a_question(template, capsys):
    assert main(["init", "lab.toml", "--template", template, *FLAGS.get(template, ())]) == 0
    text = Path("lab.toml").read_text()
    assert changes(text, template) == {"name": "lab"}
    assert text.count("#") == TEMPLATES[template].text().count("#"), "comments are kept"
    cell = rk.make_workcell("lab.toml")
    assert cell.name == "lab"
    if not cell.robot.spec.is_simulated or template == "plugin":
        assert all(getattr(cell.limits, name) is not None for name in NEEDED)
    assert "robotkit check lab.toml" in capsys.readouterr().out
    assert [path.name for path in Path().iterdir()] == ["lab.toml"]


def test_every_template_can_be_named():
    assert set(NAMES) == TEMPLATES.keys()


def test_flags_fill_in_what_differs_from_lab_to_lab():
    values = ("cameras.front.device=2", "robot.model=panda", "limits.max_force_n=30", "gripper.force_n=20")
    command = ["init", "cell.toml", "--template", "franka-hand", "--host", "10.0.0.5", "--name", "lab 3"]
    assert main([*command, "--set", *values]) == 0
    assert changes(Path("cell.toml").read_text(), "franka-hand") == {
        "name": "lab 3", "robot.host": "10.0.0.5", "gripper.host": "10.0.0.5", "cameras.front.device": 2,
        "robot.model": "panda", "limits.max_force_n": 30, "gripper.force_n": 20,
    }  # fmt: skip


def test_a_serial_number_of_digits_stays_a_text():
    assert main(["init", "--template", "franka-robotiq-realsense", "--set", "cameras.front.serial=0012"]) == 0
    assert changes(Path("my_lab.toml").read_text(), "franka-robotiq-realsense") == {
        "name": "my_lab", "cameras.front.serial": "0012"
    }  # fmt: skip


@pytest.mark.parametrize("template", ["franka-robotiq-realsense", "franka-hand", "simulation"])
def test_who_gives_no_template_is_asked_and_enter_takes_what_the_template_has(template, monkeypatch):
    person = Person(monkeypatch, "")
    monkeypatch.setattr(cell_writer, "_asked_template", lambda: template)
    assert main(["init"]) == 0
    assert changes(Path("my_lab.toml").read_text(), template) == {"name": "my_lab"}
    assert len(person.questions) == len(TEMPLATES[template].questions) + bool(TEMPLATES[template].host_keys)


@pytest.mark.parametrize(("answer", "template"), [("3", "simulation"), ("simulation", "simulation"), ("9", None)])
def test_a_template_is_chosen_by_number_or_name(answer, template, monkeypatch, capsys):
    Person(monkeypatch, answer)
    assert main(["init"]) == (0 if template else 2)
    if template:
        assert changes(Path("my_lab.toml").read_text(), template) == {"name": "my_lab"}
    else:
        assert "choose one of" in capsys.readouterr().err


def test_without_a_terminal_the_template_has_to_be_given(monkeypatch, capsys):
    monkeypatch.setattr("sys.stdin", None)
    assert main(["init"]) == 2
    assert "--template franka-robotiq-realsense | franka-hand" in capsys.readouterr().err


def test_a_file_that_is_there_is_only_replaced_by_force(capsys):
    Path("my_lab.toml").write_text("name = 'years of work'\n")
    assert main(["init", "--template", "simulation"]) == 2
    assert "--force" in capsys.readouterr().err
    assert Path("my_lab.toml").read_text() == "name = 'years of work'\n"
    assert main(["init", "--template", "simulation", "--force"]) == 0
    assert rk.make_workcell("my_lab.toml").name == "my_lab"


def test_a_file_that_comes_while_a_person_answers_is_not_replaced(monkeypatch):
    Person(monkeypatch, "3", lambda: Path("my_lab.toml").write_text("somebody else's"))
    assert main(["init"]) != 0
    assert Path("my_lab.toml").read_text() == "somebody else's"


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["lab.yaml", "--template", "simulation"], "ends in .toml"),
        (["nowhere/lab.toml", "--template", "simulation"], "no folder"),
        (["--template", "simulation", "--host", "10.0.0.5"], "no control box"),
        (["--template", "simulation", "--robot", "fake"], "--template plugin"),
        (["--template", "plugin"], "--robot NAME"),
        (["--template", "plugin", "--robot", "frnka"], "Did you mean 'franka'"),
        (["--template", "franka-hand", "--set", "robot.modle=panda"], "Did you mean 'model'"),
        (["--template", "franka-hand", "--set", "robot.model=fr4"], "fr3"),
        (["--template", "franka-hand", "--set", "robot.model"], "KEY=VALUE"),
        (["--template", "franka-hand", "--set", "limits.workspace=5"], "cannot be put"),
        (["--template", "franka-hand", "--set", "limits.watchdog_s=60"], "watchdog_s"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_written(arguments, hint, capsys):
    assert main(["init", *arguments]) == 2
    error = capsys.readouterr().err
    assert hint in error
    assert ".my_lab-" not in error, "the name of the draft is nobody's business"
    assert list(Path().iterdir()) == []


class NeedyConfig(FakeRobotConfig):
    address: str
    """Where it listens."""


class NeedyRobot(FakeRobot):
    """An arm of a plugin, with an option that it needs."""

    Config = NeedyConfig


@pytest.fixture
def needy(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setitem(robots._entries, "needy", NeedyRobot)
    return "needy"


def test_a_plugins_own_options_are_asked_for_or_named(needy, monkeypatch, capsys):
    assert main(["init", "--template", "plugin", "--robot", needy]) == 2
    assert "--set robot.address=VALUE" in capsys.readouterr().err
    assert main(["init", "--template", "plugin", "--robot", needy, "--set", "robot.address=10.0.0.7"]) == 0
    assert rk.make_workcell("my_lab.toml").robot.inner.config.address == "10.0.0.7"
    person = Person(monkeypatch, "10.0.0.8")
    monkeypatch.setattr(cell_writer, "_asked_template", lambda: "plugin")
    assert main(["init", "--force", "--robot", needy]) == 0
    assert person.questions == ["robot.address (str) Where it listens.: "]
    assert rk.make_workcell("my_lab.toml").robot.inner.config.address == "10.0.0.8"


def test_a_file_for_another_machine_is_written_unchecked_and_says_so(monkeypatch, capsys):
    """Such as on a laptop without the arm's driver."""

    def missing(path: Path) -> None:
        raise rk.MissingExtra("franky is not installed. Try: pip install 'robotkit[franka]'")

    monkeypatch.setattr(cell_writer, "make_workcell", missing)
    assert main(["init", "--template", "franka-hand"]) == 0
    assert "could not be checked on this machine: franky is not installed" in capsys.readouterr().out


TEXT = """# head
name = "a # b"   # the name

[robot]
type = "fake"        # kept
gains = [1.0, 2.0]   # also kept

[limits]
max_force_n = 40.0

[limits.workspace]
low = [0.0]

[[limits.planes]]
name = "table"
"""


@pytest.mark.parametrize(
    ("key", "value", "parsed"),
    [
        ("name", "c", "c"), ("name", '"c # d"', "c # d"), ("name", "true", "true"),
        ("name", "a\"b\\", "a\"b\\"),
        ("robot.type", "mujoco", "mujoco"), ("robot.gains", "[3.0]", [3.0]), ("limits.max_force_n", "5", 5),
        ("robot.new", "true", True), ("robot.new", "172.16.0.2", "172.16.0.2"), ("limits.new", "1e-3", 1e-3),
        ("gripper.type", "fake", "fake"), ("cameras.front.type", "fake", "fake"), ("clock", "real", "real"),
        ("limits.workspace.low", "[1.0]", [1.0]), ("limits.name", "x", "x"),
    ],
)  # fmt: skip
def test_a_value_is_replaced_or_added_and_nothing_else_changes(key, value, parsed):
    result = with_value(TEXT, key, value)
    before, after = flat(tomllib.loads(TEXT)), flat(tomllib.loads(result))
    assert after == {**before, key: parsed}
    for comment in ("# head", "# the name", "# kept", "# also kept"):
        assert comment in result


def test_comments_stay_in_their_column():
    lines = with_value(TEXT, "robot.type", "ur5e").splitlines()
    assert lines[4] == 'type = "ur5e"        # kept'
    assert with_value(TEXT, "robot.gains", "[1.0, 2.0, 3.0, 4.0]").splitlines()[5].endswith("4.0]  # also kept")
