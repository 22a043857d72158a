"""Teachers: what supplies target flow and covisibility for the pairs of a clip."""
