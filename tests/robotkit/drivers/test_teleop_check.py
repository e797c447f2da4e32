"""The doctor's self-test tells a working hand from a resting one and from none."""

from __future__ import annotations

import pytest

from robotkit.cli import doctor
from robotkit.cli.teleop_check import self_test
from robotkit.registry import teleops


def test_what_moved_and_what_was_pressed_is_listed():
    hand = teleops.make("fake", twist=[0.5, 0, -1.0, 0, 0, 0.1], buttons=(False, True))
    finding = self_test("fake", hand, 0.05)
    assert finding.status == "ok"
    assert finding.found == "moved: x, z; buttons pressed: 1"


def test_a_hand_that_rests_is_no_success():
    finding = self_test("fake", teleops.make("fake"), 0.05)
    assert finding.status == "warning"
    assert "nothing moved" in finding.found


def test_a_device_that_is_not_there_is_a_finding():
    finding = self_test("keyboard", teleops.make("keyboard", terminal="/dev/null"), 0.05)
    assert finding.status == "warning"
    assert "no terminal" in finding.found


@pytest.mark.parametrize("name", [None, "fake"])
def test_the_doctor_tests_a_device_only_when_asked(name, monkeypatch, capsys):
    monkeypatch.setattr(doctor, "examine", lambda port: [])
    monkeypatch.setenv("COLUMNS", "200")
    assert doctor.Doctor(teleop=name, watch_s=0.05).run() == 0
    assert ("nothing moved" in capsys.readouterr().out) == (name is not None)
