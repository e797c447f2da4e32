"""What other projects write and read: demonstrations and weights of SERL and HIL-SERL, LeRobot's datasets."""
