"""What the shell sees: doctor, state, stop, and the form of errors."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import socket
from pathlib import Path

import pytest
from rich.console import Console

import robotkit as rk
from robotkit.cli import doctor, host_checks, main, software_checks
from robotkit.cli.finding import Finding
from robotkit.cli.operation.state import state_table
from tests.serving import served as on_network


def text_of(renderable):
    console = Console(width=200, file=io.StringIO())
    console.print(renderable)
    return console.file.getvalue()


def test_the_doctor_fails_only_on_a_problem(monkeypatch, capsys):
    for status, code in (("ok", 0), ("warning", 0), ("problem", 1)):
        monkeypatch.setattr(doctor, "examine", lambda port, s=status: [Finding("x", s, "found", f"fix {port}")])
        assert main(["doctor", "--port", "5001"]) == code
        assert "fix 5001" in capsys.readouterr().out


def test_the_doctor_tells_programs_what_it_tells_people(monkeypatch, capsys):
    finding = Finding("x", "warning", "found", "fix")
    monkeypatch.setattr(doctor, "examine", lambda port: [finding])
    assert main(["doctor", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == [dataclasses.asdict(finding)]


def test_p19_a_folder_of_the_users_is_not_examined_in_the_place_of_a_package(tmp_path, monkeypatch):
    (tmp_path / "sims").mkdir()
    (tmp_path / "sims" / "__init__.py").write_text("raise SystemExit('a foreign program runs')\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(Path(software_checks.__file__).parents[2]))
    assert software_checks.probe("import sims; print(sims.__name__)") == ("", "sims")


def test_a_wrong_gl_backend_ends_the_probe_and_not_the_doctor(monkeypatch):
    monkeypatch.setenv("MUJOCO_GL", "no-such-backend")
    finding = software_checks.simulator()
    assert finding.status == "problem"
    assert "no-such-backend" in finding.found
    assert "unset MUJOCO_GL" in finding.fix


@pytest.mark.parametrize(
    ("chosen", "works", "status", "fix"),
    [
        (None, {None, "egl"}, "ok", ""),
        (None, {"egl"}, "warning", "export MUJOCO_GL=egl"),
        ("glfw", {"glfw"}, "ok", ""),
        ("glfw", {"", "egl"}, "warning", "unset MUJOCO_GL"),
        ("glfw", {"osmesa"}, "warning", "export MUJOCO_GL=osmesa"),
        (None, set(), "warning", "install a GL library"),
    ],
)
def test_a_backend_is_recommended_only_where_cameras_do_not_render(monkeypatch, chosen, works, status, fix):
    def probe(program, environment=None):
        return "" if (environment or {"MUJOCO_GL": chosen})["MUJOCO_GL"] in works else "no OpenGL", ""

    monkeypatch.delenv("MUJOCO_GL", raising=False)
    if chosen is not None:
        monkeypatch.setenv("MUJOCO_GL", chosen)
    monkeypatch.setattr(software_checks, "probe", probe)
    finding = software_checks.graphics()
    assert (finding.status, fix in finding.fix, bool(fix)) == (status, True, status == "warning")


def test_the_doctor_renders_as_the_simulator_does(monkeypatch):
    """The backend "disable" has no OpenGL, here and everywhere."""
    monkeypatch.setenv("MUJOCO_GL", "disable")
    error, _ = software_checks.probe(software_checks._GL_PROBE)
    assert "cast rays" in error


def test_a_probe_that_crashes_is_a_sentence():
    error, _ = software_checks.probe("import os; os.abort()")
    assert "code -6" in error
    assert software_checks.probe("print('fine')") == ("", "fine")


def test_a_package_that_is_not_there_has_a_pip_line(monkeypatch):
    monkeypatch.setattr(software_checks.importlib.util, "find_spec", lambda name: None)
    findings = list(software_checks.vendor_packages())
    assert {f.status for f in findings} == {"warning"}
    assert any("pip install 'robotkit[franka]'" in f.fix for f in findings)


def test_a_port_in_use_is_named():
    with contextlib.closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert host_checks.free_port(port).status == "warning"
    assert host_checks.free_port(port).status == "ok"


def test_the_machine_is_read_from_its_files(tmp_path):
    path = tmp_path / "file"
    assert host_checks.governor(path).status == "ok"
    assert host_checks.realtime_kernel(path).status == "warning"
    path.write_text("1\n")
    assert host_checks.realtime_kernel(path).status == "ok"
    path.write_text("powersave\n")
    assert "cpupower" in host_checks.governor(path).fix
    assert host_checks.hid_access(tmp_path).status == "ok"
    (tmp_path / "hidraw0").write_text("")
    assert "1 device" in host_checks.hid_access(tmp_path).found


def test_state_prints_the_measurements_of_any_cell(capsys):
    assert main(["state", "fake"]) == 0
    out = capsys.readouterr().out
    assert "gripper" in out
    assert "the arm is only read" in " ".join(out.split()), "control of an arm in this process does not start"


@pytest.mark.parametrize("form", [(), ("--url",)])
def test_state_of_a_server_takes_its_address_with_and_without_url(form, capsys):
    with on_network(rk.make_workcell("fake", clock="real")) as url:
        assert main(["state", *form, url, "--json"]) == 0
    state = json.loads(capsys.readouterr().out)
    assert (state["cell"], state["mode"]) == ("fake", "holding")


def test_two_names_for_one_cell_are_refused(capsys):
    assert main(["stop", "http://127.0.0.1:1", "--url", "http://127.0.0.1:2"]) == 2
    assert "give one" in capsys.readouterr().err


def test_stop_stops(capsys):
    cell = rk.make_workcell("fake", clock="real")
    with on_network(cell) as url:
        assert main(["stop", url]) == 0
        assert "stopped" in capsys.readouterr().out
        assert main(["state", url]) == 0
        assert "a stop was asked for" in " ".join(capsys.readouterr().out.split())
        with pytest.raises(rk.RobotStopped):
            cell.robot.move_to_joint_positions(cell.robot.spec.reset_joint_positions_rad)


def test_stop_of_what_is_no_server_is_refused(capsys):
    """Another process that had the same arm would not notice, and nobody may think that it is stopped."""
    assert main(["stop", "fake"]) == 2
    assert "hardware stop" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["[/red] anna", "[bold] anna", "anna [robot.load]"])
def test_b9_what_a_client_calls_itself_is_shown_as_it_is(name):
    cell = rk.make_workcell("fake")
    with cell:
        cell.robot.stop_for("somebody came near", name)
        assert f"(by {name})" in text_of(state_table("x", cell.get_state()))


def test_errors_are_one_sentence_on_stderr(capsys):
    with contextlib.closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))  # taken, and nobody listens there
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        assert main(["state", "--url", url]) == 1
    captured = capsys.readouterr()
    assert captured.err.startswith(f"error: no robot server at {url} (")
    assert captured.err.count("\n") == 1
    assert captured.out == ""


@pytest.mark.parametrize(
    ("what", "words"),
    [("is_halt_owed", "its device has not taken the stop"), ("moves_on", "the arm moves although it is stopped")],
)
def test_the_state_of_an_arm_that_does_not_obey_its_stop_says_so(what, words):
    with rk.make_workcell("fake", gripper=None) as cell:
        state = cell.get_state()
    assert words not in " ".join(text_of(state_table("x", state)).split())
    robot = state.robot.model_copy(update={what: True})
    assert words in " ".join(text_of(state_table("x", state.model_copy(update={"robot": robot}))).split())


def test_the_state_of_a_faulty_arm_names_its_faults():
    with rk.make_workcell("fake", gripper=None) as cell:
        state = cell.get_state()
    robot = state.robot.model_copy(update={"mode": "fault", "faults": ("reflex",)})
    assert "fault (reflex)" in text_of(state_table("x", state.model_copy(update={"robot": robot})))
