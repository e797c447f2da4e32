"""Devices that a human steers with: SpaceMouse, gamepad, keyboard."""
