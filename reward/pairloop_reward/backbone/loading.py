"""Models and tokenizers of transformers, loaded so that nothing of theirs is run or guessed.

No pickle is opened; the model's own Python code runs only where the user's options say so; weights that the files
lack, and that transformers would fill with random numbers, are an error.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pairloop.errors import ConfigError, CorruptionDetected
from pairloop.kit.extras import require
from pairloop_reward.backbone.location import Location

_UNLIMITED = 1 << 20
_CONTEXT_NAMES = ("max_position_embeddings", "n_positions", "max_seq_len", "seq_length")
UNUSED = ("pooler", "lm_head", "cls.", "classifier", "score", "position_ids")
"""Parts of names of weights that hidden states do not depend on: they may be missing."""


def load_model(
    location: Location,
    *,
    dtype: str = "float32",
    auto_class: str = "AutoModel",
    may_lack: Sequence[str] = UNUSED,
    trust_remote_code: bool = False,
    **arguments: Any,
) -> Any:
    """A transformers model on the CPU, in evaluation mode.

    Args:
        location: from `locate`. dtype: "float32" or "bfloat16".
        auto_class: class of transformers that builds it ("AutoModelForSequenceClassification").
        may_lack: weights whose names contain one of these may be missing from the files; they are then
            initialised by transformers, always to the same numbers, with torch's generator left as it was.
        arguments: passed on to ``from_pretrained`` (num_labels, attn_implementation …).

    Raises:
        MissingExtra: torch or transformers are not installed.
        ConfigError: an unknown architecture, code of its own without permission, weights that do not fit.
        CorruptionDetected: the weights are damaged.
    """
    torch = require("torch", "torch", "A transformers model as reward backbone")
    transformers = require("transformers", "torch", "A transformers model as reward backbone")
    folder = _model_folder(location)
    load_config(location, trust_remote_code=trust_remote_code)
    with _readable(location), quiet(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model, found = getattr(transformers, auto_class).from_pretrained(
            str(folder),
            dtype=getattr(torch, dtype),
            use_safetensors=True,
            local_files_only=True,
            trust_remote_code=trust_remote_code,
            output_loading_info=True,
            **arguments,
        )
    _check_complete(location, found, may_lack)
    return model.eval()


def load_config(location: Location, *, trust_remote_code: bool = False) -> Any:
    """The model's configuration.

    Raises:
        ConfigError: it cannot be read, or the architecture needs code that may not run.
    """
    transformers = require("transformers", "torch", "A transformers model as reward backbone")
    folder = _model_folder(location)
    try:
        return transformers.AutoConfig.from_pretrained(
            str(folder), local_files_only=True, trust_remote_code=trust_remote_code
        )
    except (ValueError, OSError, KeyError, TypeError) as error:
        brings_code = not trust_remote_code and (any(folder.glob("*.py")) or "trust_remote_code" in str(error))
        raise ConfigError(
            f"{folder}/config.json cannot be used: {_first_line(error)}",
            "The model brings its own code. If you trust it, set trust_remote_code = true in the options."
            if brings_code
            else "It should be the config.json of a model that the installed transformers knows.",
        ) from error


def load_tokenizer(location: Location, *, trust_remote_code: bool = False) -> Any:
    """The model's tokenizer.

    Raises:
        ConfigError: there is none, or it cannot be read.
    """
    transformers = require("transformers", "torch", "A transformers model as reward backbone")
    folder = _model_folder(location)
    names = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt", "spiece.model", "sentencepiece.bpe.model")
    if not any((folder / name).is_file() for name in names):
        raise ConfigError(
            f"{folder} has no tokenizer (none of {', '.join(names)})",
            "Save it beside the model: tokenizer.save_pretrained(folder).",
        )
    try:
        with quiet():
            return transformers.AutoTokenizer.from_pretrained(
                str(folder), local_files_only=True, trust_remote_code=trust_remote_code
            )
    except (ValueError, OSError, KeyError, TypeError) as error:
        raise ConfigError(f"the tokenizer in {folder} cannot be read: {_first_line(error)}") from error


def check_vocabulary(location: Location, model: Any, tokenizer: Any) -> None:
    """Refuse a tokenizer that knows ids which the model does not.

    Raises:
        ConfigError: it has more tokens than the model has embeddings.
    """
    rows = model.get_input_embeddings().weight.shape[0]
    largest = max(tokenizer.get_vocab().values(), default=0)
    if largest >= rows:
        raise ConfigError(
            f"{location.folder}: the tokenizer has ids up to {largest}, but the model only {rows} embeddings",
            "The tokenizer belongs to another model, or tokens were added without resizing the embeddings.",
        )


def context_length(config: Any, tokenizer: Any) -> int:
    """The longest sequence in tokens that model and tokenizer take."""
    limits = [int(min(tokenizer.model_max_length, _UNLIMITED))]
    for name in _CONTEXT_NAMES:
        value = getattr(config, name, None)
        if isinstance(value, int) and value > 0:
            # RoBERTa numbers positions from padding + 1 on, in a table of its full size
            offset = config.pad_token_id + 1 if _counts_from_padding(config) else 0
            limits.append(value - offset)
            break
    return max(min(limits), 1)


def is_causal(config: Any) -> bool:
    """True for models that only look back, whose last token is the one that has seen everything."""
    require("transformers", "torch", "A transformers model as reward backbone")
    from transformers.models.auto.modeling_auto import (
        MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
        MODEL_FOR_MASKED_LM_MAPPING_NAMES,
    )

    kind = config.model_type
    names = MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
    only_causal = kind in names and kind not in MODEL_FOR_MASKED_LM_MAPPING_NAMES
    return bool(
        not getattr(config, "is_encoder_decoder", False) and (only_causal or getattr(config, "is_decoder", False))
    )


@contextmanager
def quiet() -> Iterator[None]:
    """No progress bars and no chatter of transformers: progress goes through `pairloop.protocols.Progress`."""
    logging = require("transformers", "torch", "A transformers model as reward backbone").utils.logging
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


def _counts_from_padding(config: Any) -> bool:
    return config.model_type in ("roberta", "xlm-roberta", "camembert", "mpnet", "longformer") and isinstance(
        getattr(config, "pad_token_id", None), int
    )


def _model_folder(location: Location) -> Path:
    """The folder of the transformer: sentence-transformers may keep it in ``0_Transformer``."""
    if (location.folder / "config.json").is_file():
        return location.folder
    inner = sorted(path.parent for path in location.folder.glob("*_Transformer/config.json"))
    if not inner:
        raise ConfigError(f"{location.folder} has no config.json of a transformers model")
    return inner[0]


def _check_complete(location: Location, found: Any, may_lack: Sequence[str]) -> None:
    missing = sorted(name for name in found.get("missing_keys", ()) if not any(part in name for part in may_lack))
    mismatched = sorted(str(item[0] if isinstance(item, tuple) else item) for item in found.get("mismatched_keys", ()))
    bad = missing or mismatched
    if bad:
        what = "lack" if missing else "have another shape for"
        raise ConfigError(
            f"the weights in {location.folder} {what} {len(bad)} of the model's tensors, among them {bad[0]}",
            "They belong to another configuration, or the folder was copied incompletely.",
        )


@contextmanager
def _readable(location: Location) -> Iterator[None]:
    from safetensors import SafetensorError

    try:
        yield
    except SafetensorError as error:
        raise CorruptionDetected(
            f"the weights in {location.folder} are damaged: {error}", "Download or copy the model again."
        ) from error
    except (OSError, ValueError, RuntimeError, KeyError, ImportError) as error:
        raise ConfigError(
            f"the model in {location.folder} cannot be loaded: {_first_line(error)}",
            "It needs config.json and weights as safetensors of an architecture that transformers knows.",
        ) from error


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).split("\n")[0]
