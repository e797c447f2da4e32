"""The demonstration from images, and the comparison of the curves of several runs."""
