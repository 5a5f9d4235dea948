"""Transformers with a scalar head, fine-tuned on single votes."""
