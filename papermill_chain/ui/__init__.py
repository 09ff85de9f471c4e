"""A page of this machine that starts runs, shows how they go on, and leads to their reports."""
