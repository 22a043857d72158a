"""What a very large set of videos takes: planning, simulated, and costs, estimated."""
