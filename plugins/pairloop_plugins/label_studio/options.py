"""Options of the backend ``label-studio``."""

from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from pairloop.kit.options import Options
from pairloop.records import Choice

Setting = Literal["model_version", "sampling", "show_collab_predictions"]
_LOCAL_HOSTS = ("localhost", "127.0.0.1", "::1")


class MappingOptions(Options):
    """What the fields and controls of a labeling config mean; the defaults are those of pairloop's own."""

    kind: Literal["choices", "pairwise", "ratings", "ranker"] = "choices"
    """Control that says which response is better: ``Choices`` (one of several), ``Pairwise``, two ``Rating``s (the
    response with more stars; the same number is a tie), or a ``Ranker`` over a list of the two."""
    preference: str = "preference"
    """Its name; of two ratings, that of the left response."""
    second: str | None = None
    """Of two ratings, the name of that of the right response."""
    to_name: str = "prompt"
    """The object that it is about."""
    choices: dict[str, Choice] = Field(
        default_factory=lambda: {"left": Choice.LEFT, "tie": Choice.TIE, "right": Choice.RIGHT,
                                 "both_bad": Choice.BOTH_BAD}
    )  # fmt: skip
    """What its values (aliases, where the config has them) mean."""
    prompt: str = "prompt"
    """Field of the task that holds the prompt."""
    left: str = "left"
    """Field of the response that is displayed left, or first."""
    right: str = "right"
    """Field of the response that is displayed right, or second."""
    items: str | None = None
    """Of a ranker, the field of the list ``[{"id", "title", "body"}, …]`` that holds the two responses instead."""
    rating: str | None = "prompt_rating"
    """Name of a ``Rating`` of the prompt, 1 to 5; "" where there is no such control."""
    reason: str | None = "reason"
    """Name of a ``TextArea`` with the reason; "" where there is no such control."""

    @field_validator("rating", "reason")
    @classmethod
    def _none(cls, value: str | None) -> str | None:
        return value or None  # TOML has no null


class LabelStudioOptions(Options):
    """``[backend.options]`` of ``label-studio``."""

    url: str = "http://localhost:8080/"
    """Address of the server, with its path prefix if it has one. Plain http to another machine is warned about."""
    project: int | None = Field(default=None, ge=1)
    """Number of the project, as in its address. ``pairloop init --backend label-studio`` makes one and notes it."""
    token_env: str | None = "LABEL_STUDIO_API_KEY"  # noqa: S105 - the name of a variable
    """Environment variable that holds a personal access token, or a legacy token."""
    token_keyring: str | None = None
    """Keyring entry that holds the token, as ``service/user``; goes before the variable. Needs the extra [keyring]."""
    ca_file: str | None = None
    """File of certificates to trust beside the system's, relative to the configuration file."""
    proxy: str | None = None
    """Proxy for all requests; unset, the variables HTTPS_PROXY, HTTP_PROXY and NO_PROXY count."""
    timeout: float = Field(default=60.0, gt=0)
    """Seconds that one request may take."""
    tries: int = Field(default=4, ge=1, le=20)
    """Tries of a request that only reads. What creates something is never sent twice on suspicion."""
    longest_wait: float = Field(default=30.0, ge=0)
    """Seconds to wait between two tries at most, whatever the server asks for."""
    allow_old: bool = False
    """Work with a Label Studio before 1.18, which has known security holes."""
    may_set: tuple[Setting, ...] = ()
    """Settings of the project that pairloop may change; all three for a project that it made itself. Without them it
    changes none, whatever that costs in order or blindness."""
    adopt: Literal["no", "unlabelled", "all"] = "no"
    """Ask about tasks that are in the project already, without importing any: those that nobody has answered, or all,
    whose answers then count as votes. They are never changed, copied or deleted."""
    adopt_order: tuple[Literal["predictions"], ...] = ()
    """How adopted tasks may be put into the campaign's order: by predictions that are added to them. Without, nothing
    is added to them, and people answer in the order of the project."""
    mapping: MappingOptions = MappingOptions()
    """What the labeling config means, where it is not pairloop's own."""
    markdown: bool = False
    """Texts are shown as Markdown; what could load an image or run as HTML is broken up. Otherwise as they are."""
    order: Literal["batch", "uncertainty"] = "batch"
    """What the score of a prediction says, and so the order of serving under uncertainty sampling: the place in the
    batch, or the model's confidence. With "uncertainty", rounds that close early leave a biased random arm."""
    hidden_guess: Literal["score", "full"] = "score"
    """What a hidden prediction holds: only its score, so that no view can give the guess away, or all of it."""
    chunk: int = Field(default=500, ge=1, le=5000)
    """Tasks a push at most; fewer where texts are long."""
    late_commit: float = Field(default=90.0, ge=0)
    """Seconds after a push without a clear answer during which the server may still carry it out: so long nothing of it
    is sent again."""
    overlap: float = Field(default=30.0, ge=0)
    """Seconds of changes that every pull reads again, for transactions that became visible late."""
    sweep_minutes: float = Field(default=15.0, ge=0)
    """How often all tasks are listed to find deleted and surplus ones; sooner when their number is not as expected."""
    page: int = Field(default=500, ge=1, le=5000)
    """Tasks a page of a pull."""
    ground_truth: Literal["count", "ignore"] = "count"
    """Annotations marked as ground truth are votes like others, or none."""

    @field_validator("url")
    @classmethod
    def _plain_url(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("write it as https://host or https://host/prefix")
        if parts.username or parts.password or parts.query or parts.fragment:
            raise ValueError(
                "it must hold no user, password, query or fragment: the token belongs into the environment"
            )
        return value.rstrip("/") + "/"

    @property
    def unencrypted(self) -> bool:
        """True for plain http to another machine."""
        parts = urlsplit(self.url)
        return parts.scheme == "http" and parts.hostname not in _LOCAL_HOSTS
