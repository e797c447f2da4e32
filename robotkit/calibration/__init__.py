"""Calibration of cameras: their lens (`lens`), and where they are mounted (`hand_eye`)."""
