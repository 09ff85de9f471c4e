"""Statistics that raise an alarm, with limits that hold over many looks."""
