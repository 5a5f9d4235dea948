"""Judges: any OpenAI-compatible endpoint, and causal language models on this machine."""
