"""Servers of base policies over openpi's protocol: one for runs of this project, one for policies of LeRobot."""
