"""Example plugin of pairloop: questions as text files, and a selection strategy."""
