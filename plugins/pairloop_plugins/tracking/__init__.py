"""Observers that pass a campaign's numbers on to experiment trackers."""
