"""The built-in annotation backends and pair sources of pairloop; each is a plugin behind its own entry point."""
