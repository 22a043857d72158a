"""`sweep=tuning`: every formulation tuned with equal effort, and `tuned=true`, which uses it."""
