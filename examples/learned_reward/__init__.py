"""A task learned from images, with a reward classifier's prediction as the only reward."""
