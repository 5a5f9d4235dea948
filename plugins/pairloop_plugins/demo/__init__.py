"""The demo: the help desk of a small town library, with a stated gold score. Everything in here was written for it."""
