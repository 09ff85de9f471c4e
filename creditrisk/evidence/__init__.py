"""One bundle of evidence on a run: what was found, on what it rests, and what was not checked."""
