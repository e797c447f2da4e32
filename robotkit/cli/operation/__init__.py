"""What `robotkit recover`, `home`, `gripper`, `cameras` and `watch` do with a cell."""
