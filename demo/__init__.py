"""The main job as a demonstration."""
