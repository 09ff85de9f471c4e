"""Word of how a run has ended: by mail, or to an address on the web."""
