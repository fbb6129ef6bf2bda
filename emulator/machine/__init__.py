"""The machine a run meets: signals, cores, processes, folders for caches, code compiled and kept."""
