"""Base class of every configuration model, the campaign's and the plugins'."""

from pydantic import BaseModel, ConfigDict


class Options(BaseModel):
    """Frozen, and an unknown key is an error (the config loader adds "did you mean …?")."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, protected_namespaces=())
