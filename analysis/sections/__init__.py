"""The sections of a report, each from the records; `analysis.report` puts them in order."""
