"""The campaign's configuration: models, loading, template and schema."""

from pairloop.config.load import load_config, resolve_path
from pairloop.config.models import Config, CurationConfig

__all__ = ["Config", "CurationConfig", "load_config", "resolve_path"]
