"""What each kind of directory does: one module per kind, each with one function `work`."""
