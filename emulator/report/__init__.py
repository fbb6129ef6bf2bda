"""Pictures of results and of trainings."""
