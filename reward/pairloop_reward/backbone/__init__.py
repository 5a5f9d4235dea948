"""Transformers models as backbones of reward models: loading, batching, pooling, and embeddings on disk."""
