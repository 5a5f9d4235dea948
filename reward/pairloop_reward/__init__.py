"""Reward models: text features, a Bradley–Terry head on single votes, its Laplace posterior and its calibration."""
