"""A task learned from images, with a reward classifier's verdict as the only reward."""
