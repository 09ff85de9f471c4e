"""Where models come from: a folder or the registry, verified before anything is opened."""
