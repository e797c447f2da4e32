"""What users install: the wheel, and the versions that it allows."""
