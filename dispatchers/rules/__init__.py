"""The rules that come with this software, a module for each family."""
