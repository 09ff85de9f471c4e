"""The raw file: read in pieces, within limits, and checked against its contract."""
