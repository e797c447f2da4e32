"""What may not happen to an arm, whatever races, fails or falls silent."""
