"""The parts of a data package's descriptor: its properties, its columns and what contradicts."""
