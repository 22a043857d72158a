"""Weights in files: reading them, knowing whose they are, import into a model and export."""
