"""From a scenario file to the points of its sweep, every key checked and every fault told with its place."""
