"""Options of the built-in judges."""

from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from pairloop.kit.options import Options

_LOCAL_HOSTS = ("localhost", "127.0.0.1", "::1")


class OpenAIOptions(Options):
    """Options of the judge ``openai``."""

    model: str = Field(min_length=1)
    """Model, as the endpoint calls it."""
    base_url: str = "https://api.openai.com/v1"
    """Address of the API, without ``/chat/completions``. Plain http is for this machine only."""
    api_key_env: str | None = "OPENAI_API_KEY"
    """Environment variable that holds the key; "" for endpoints without one."""
    api_key_keyring: str | None = None
    """Keyring entry that holds the key, as ``service/user``; goes before the variable. Needs the extra [keyring]."""
    allow_http: bool = False
    """Send texts and key unencrypted to another machine."""
    template: str | None = None
    """File of the prompt template, relative to the configuration file; the one that is shipped when left out."""
    last_line: bool = False
    """The template asks for reasons first: the answer is in the last line (raise ``max_tokens``)."""
    logprobs: bool = True
    """Use the probabilities of A, B and tie where the endpoint gives them."""
    max_tokens: int = Field(default=8, ge=1, le=100_000)
    """Longest answer."""
    temperature: float = Field(default=0.0, ge=0.0, le=2.0)
    """Sampling temperature."""
    seed: int = 0
    """Seed sent with every question."""
    extra_body: dict[str, Any] = Field(default_factory=dict)
    """More fields of the request, or other values of those it has."""
    omit: tuple[str, ...] = ()
    """Fields to leave out for endpoints that refuse them, for example ``["seed", "temperature"]``."""
    price_in: float = Field(default=0.0, ge=0.0)
    """Money for a million tokens of the question."""
    price_out: float = Field(default=0.0, ge=0.0)
    """Money for a million tokens of the answer."""
    timeout: float = Field(default=60.0, gt=0.0)
    """Seconds that one try may take."""
    tries: int = Field(default=6, ge=1, le=50)
    """Tries of a question when the endpoint is busy, failing or not there."""
    longest_wait: float = Field(default=120.0, ge=0.0)
    """Seconds to wait between two tries at most, whatever the endpoint asks for."""
    concurrency: int = Field(default=8, ge=1, le=256)
    """Questions asked at the same time."""

    @field_validator("base_url")
    @classmethod
    def _plain_url(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("write it as https://host/v1")
        if parts.username or parts.password or parts.query or parts.fragment:
            raise ValueError("it must hold no user, password, query or fragment: keys belong into the environment")
        return value.rstrip("/")

    @model_validator(mode="after")
    def _encrypted(self) -> "OpenAIOptions":
        parts = urlsplit(self.base_url)
        if parts.scheme == "http" and parts.hostname not in _LOCAL_HOSTS and not self.allow_http:
            raise ValueError("base_url: http would send the key unencrypted; use https, or set allow_http = true")
        return self


class LocalOptions(Options):
    """Options of the judge ``local``."""

    model: str = Field(min_length=1)
    """Model folder, relative to the configuration file, or a hub name."""
    revision: str | None = None
    """Commit of the hub model."""
    template: str | None = None
    """File of the prompt template, relative to the configuration file; the one that is shipped when left out."""
    chat: Literal["auto", "always", "never"] = "auto"
    """Use the model's chat template: if it has one, always, or never."""
    ties: bool = True
    """Let the model answer tie."""
    batch_size: int = Field(default=8, ge=1)
    """Questions at a time."""
    device: Literal["cpu", "cuda"] = "cpu"
    """Where it runs."""
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    """Precision."""
