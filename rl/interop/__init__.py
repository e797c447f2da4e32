"""Formats of other projects: demonstrations and weights of SERL and HIL-SERL, LeRobot's datasets."""
