"""How policies are learned: an algorithm is a class, with its hyperparameters, in a module of its own."""
