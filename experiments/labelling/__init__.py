"""Making a manifest's labels, in this process or in several that may die."""
