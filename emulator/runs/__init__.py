"""From a plan to a folder of results: which episodes, in which process, what is kept when a run is cut off."""
