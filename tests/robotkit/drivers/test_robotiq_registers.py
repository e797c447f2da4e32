"""Laws of the Robotiq registers."""

from __future__ import annotations

import pytest

from robotkit.drivers.robotiq_registers import FAULTS, FIRST_REAL_FAULT, Inputs, Outputs, fault_text


def test_outputs_are_the_bytes_of_the_manual():
    assert Outputs().registers() == [0, 0, 255 << 8 | 150]
    moving = Outputs(is_activated=True, goes_to=True, position=100, speed=20, force=30)
    assert moving.registers() == [0x0900, 100, 20 << 8 | 30]


def test_inputs_are_the_bytes_of_the_manual():
    inputs = Inputs.from_registers([0xB9 << 8, 0x0E << 8 | 255, 153 << 8 | 23])
    assert inputs == Inputs(
        is_activated=True, goes_to=True, activation=3, contact=2, fault=0x0E, requested_position=255, position=153,
        current_ma=230,
    )  # fmt: skip
    assert not inputs.is_ready


@pytest.mark.parametrize("fault", range(16))
def test_only_faults_that_need_a_reset_keep_a_gripper_from_being_ready(fault):
    inputs = Inputs.from_registers([0x31 << 8, fault << 8, 0])
    assert inputs.is_ready == (fault < FIRST_REAL_FAULT)


def test_every_fault_has_a_text_of_its_own():
    texts = [fault_text(fault) for fault in FAULTS]
    assert len(set(texts)) == len(FAULTS)
    assert set(FAULTS) == {0x05, 0x07, 0x08, 0x09, 0x0A, 0x0B, 0x0C, 0x0D, 0x0E, 0x0F}
    assert FIRST_REAL_FAULT == 0x08
    for code, words in [
        (0x05, "waits"),
        (0x07, "activated"),
        (0x08, "hot"),
        (0x0A, "supply"),
        (0x0D, "activation failed"),
    ]:
        assert words in fault_text(code)
    assert "0x0E" in fault_text(0x0E)
    assert "does not list" in fault_text(0x01)


@pytest.mark.parametrize(
    ("contact", "requested", "is_holding"),
    [(0, 255, False), (3, 255, False), (2, 255, True), (2, 153, True), (2, 0, False), (1, 0, True), (1, 255, False)],
)
def test_a_stop_on_the_way_to_another_position_than_the_requested_is_no_grasp(contact, requested, is_holding):
    inputs = Inputs.from_registers([contact << 14 | 0x39 << 8, requested, 153 << 8])
    assert inputs.is_holding == is_holding
