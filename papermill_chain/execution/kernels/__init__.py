"""One notebook in a kernel of its own: how it is started, what is executed, what comes of it."""
