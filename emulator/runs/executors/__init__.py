"""Where episodes are run: here, in several processes, on a Ray cluster."""
