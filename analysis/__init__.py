"""From run records to tables, curves, intervals and a report. Imports neither torch nor sweeps."""
