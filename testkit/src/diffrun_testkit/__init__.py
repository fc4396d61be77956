"""What diffrun is tested against. Nothing here is part of an installation."""

__version__ = "0.1.0"
