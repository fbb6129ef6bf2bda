"""The reference engine, written to be read: processes for servers, schedulers and broadcasts."""
