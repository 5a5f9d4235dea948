"""The Python API as Markdown, from its signatures and docstrings, for ``docs/api.md``::

python -m pairloop.cli.api_reference > docs/api.md
"""

import inspect
import re
from collections.abc import Iterator

import pairloop
from pairloop import protocols

_WIDTH = 100
_HEAD = """# Python API

Written by `python -m pairloop.cli.api_reference > docs/api.md` from the docstrings. [Guide](python.md) ·
[Writing a plugin](plugins.md)
"""


def reference() -> str:
    """The whole document."""
    own = [name for name in pairloop.__all__ if not name.startswith("_")]
    spi = [name for name in protocols.__all__ if inspect.isclass(getattr(protocols, name))]
    parts = [_HEAD, "## Names of `pairloop`\n", *_entries(pairloop, own)]
    parts += ["## Protocols and records of `pairloop.protocols`\n", *_entries(protocols, spi)]
    return "\n".join(parts)


def _entries(module: object, names: list[str]) -> Iterator[str]:
    for name in sorted(names, key=str.lower):
        yield _entry(name, getattr(module, name), "###")


def _entry(name: str, thing: object, level: str) -> str:
    lines = [f"{level} {name}", ""]
    signature = _signature(name, thing)
    if signature:
        lines += ["```python", signature, "```", ""]
    lines += [_text(thing), ""]
    if inspect.isclass(thing):
        lines += [_entry(f"{name}.{own}", member, "####") for own, member in _members(thing)]
    return "\n".join(lines)


def _members(kind: type) -> Iterator[tuple[str, object]]:
    """Public methods and properties with a docstring of their own, in order of the source."""
    for name, member in vars(kind).items():
        plain = member.__func__ if isinstance(member, classmethod | staticmethod) else member
        if not name.startswith("_") and (inspect.isfunction(plain) or isinstance(plain, property)) and plain.__doc__:
            yield name, plain


def _signature(name: str, thing: object) -> str:
    if isinstance(thing, property) or not callable(thing) or (inspect.isclass(thing) and _is_protocol(thing)):
        return ""
    try:
        signature = inspect.signature(thing)
    except ValueError:  # an enumeration, or an exception without one
        return ""
    without_self = [p for p in signature.parameters.values() if p.name != "self"]
    text = _short(str(signature.replace(parameters=without_self)))
    if text in ("(*values)", "(*args, **kwargs)"):
        return ""
    if len(name) + len(text) <= _WIDTH:
        return name + text
    arguments = "".join(f"    {_short(str(p))},\n" for p in _with_star(without_self))
    return f"{name}(\n{arguments}){text.rpartition(')')[2]}"


def _with_star(parameters: list[inspect.Parameter]) -> Iterator[object]:
    """The parameters, with the star that begins the keywords."""
    starred = False
    for parameter in parameters:
        if parameter.kind is parameter.KEYWORD_ONLY and not starred:
            starred = True
            yield "*"
        yield parameter


def _short(signature: str) -> str:
    """Names without their modules, enumerations and functions by name, and nothing that differs between Pythons."""
    text = re.sub(r"<(\w+\.\w+): [^>]*>", r"\1", signature.replace("'", ""))
    text = re.sub(r"<(?:built-in )?function (\w+)[^>]*>", r"\1", text)
    return re.sub(r"\b(?:[a-z_]\w*\.)+(?=[A-Za-z_])", "", text)


def _is_protocol(kind: type) -> bool:
    return bool(getattr(kind, "_is_protocol", False))


def _text(thing: object) -> str:
    found = inspect.getdoc(thing) or ""
    head, _, rest = found.partition("\n\n")
    # docstrings indent lists of attributes and arguments; a code block keeps them as they are
    return head if not rest else f"{head}\n\n```text\n{rest.rstrip()}\n```"


if __name__ == "__main__":
    print(reference())  # noqa: T201 - a document for a file
