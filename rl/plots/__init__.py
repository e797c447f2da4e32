"""Pictures of episodes and of trainings."""
