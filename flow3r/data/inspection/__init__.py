"""Looking a download over before anything is trained on it."""
