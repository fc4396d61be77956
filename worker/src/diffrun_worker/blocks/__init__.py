"""The blocks that come with diffrun."""
