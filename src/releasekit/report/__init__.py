"""What a run looks like: the report, the terminal, the summary for CI."""
