"""Policies: sampling, reinforcement learning against a reward posterior, and best-of-n."""
