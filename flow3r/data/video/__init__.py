"""Video as unlabelled clips: ingest, the manifest of clips, decoding."""
