"""The folder of a run: its tables, what their columns mean, and what they say of each dispatcher."""
