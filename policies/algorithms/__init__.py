"""How policies are learned, an algorithm a module."""
