"""A run as OpenLineage events, for a catalogue of lineage or a file; see openlineage.io."""
