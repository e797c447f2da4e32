"""Drivers: one room a device, loaded by the registry when somebody asks for it."""
