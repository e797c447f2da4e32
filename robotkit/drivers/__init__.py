"""Drivers: one file or folder for each device, which the registry loads when the device is requested."""
