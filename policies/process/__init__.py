"""The system as a decision process: what becomes of queues in an epoch by its exact law, without single jobs."""
