"""The version of this software, written into every file it makes."""

__version__ = "0.1.0"
