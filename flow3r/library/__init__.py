"""What a user of the library calls: see `flow3r` itself, which hands out these functions."""
