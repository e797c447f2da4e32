"""The actions of `robotkit recover`, `home`, `gripper`, `cameras` and `watch` on a cell."""
