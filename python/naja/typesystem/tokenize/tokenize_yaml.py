"""YAML with places, through PyYAML where it is installed."""

from __future__ import annotations

try:
    import yaml
    from yaml.loader import SafeLoader
except ImportError:
    yaml = None  # type: ignore[assignment]
    SafeLoader = None  # type: ignore[assignment,misc]

import functools
import typing

from ..base import ParseError
from ..fields import Field
from .positional_validation import validate_with_positions
from .tokenize_json import _no_content, _position_of, _text_of
from .tokens import DictToken, ListToken, ScalarToken, Token

_T = typing.TypeVar("_T")

# What is read by a name of its own; every other scalar is a string.
_SCALARS = ("int", "float", "bool", "null", "timestamp", "binary")
# What is a mapping or a sequence under another name.
_OTHERS = {"set": "map", "omap": "seq", "pairs": "seq"}


def _constructor(token: type[Token], construct: typing.Callable) -> typing.Callable:
    def constructed(loader: typing.Any, node: typing.Any) -> Token:
        value = construct(loader, node)
        return token(value, node.start_mark.index, node.end_mark.index - 1, content=loader.content)

    return constructed


@functools.cache
def _loader() -> type:
    """A loader of PyYAML's that makes tokens."""

    class TokenLoader(SafeLoader):
        content = ""

    resolver = yaml.resolver.BaseResolver
    made = {
        resolver.DEFAULT_MAPPING_TAG: _constructor(DictToken, SafeLoader.construct_mapping),
        resolver.DEFAULT_SEQUENCE_TAG: _constructor(ListToken, SafeLoader.construct_sequence),
        resolver.DEFAULT_SCALAR_TAG: _constructor(ScalarToken, SafeLoader.construct_scalar),
    }
    for name in _SCALARS:
        made[f"tag:yaml.org,2002:{name}"] = _constructor(ScalarToken, getattr(SafeLoader, f"construct_yaml_{name}"))
    for name, kind in _OTHERS.items():
        made[f"tag:yaml.org,2002:{name}"] = made[f"tag:yaml.org,2002:{kind}"]
    for tag, constructor in made.items():
        TokenLoader.add_constructor(tag, constructor)
    return TokenLoader


def tokenize_yaml(content: str | bytes) -> Token:
    """The tokens of a document; raises `ParseError`."""
    assert yaml is not None, "'pyyaml' must be installed."
    text = _text_of(content)
    try:
        loader = _loader()(text)
        loader.content = text
        try:
            token = loader.get_single_data()
        finally:
            loader.dispose()
        return _no_content() if token is None else token
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        words, index = error.problem or error.context or "invalid document", mark.index if mark else 0
    except yaml.reader.ReaderError as error:
        words, index = error.reason, error.position
    raise ParseError(text=f"{words}.", code="parse_error", position=_position_of(text, index))


def validate_yaml(content: str | bytes, validator: Field[_T]) -> _T:
    """The checked value of a document; raises `ParseError` or `ValidationError`, whose messages say where."""
    assert yaml is not None, "'pyyaml' must be installed."
    return validate_with_positions(token=tokenize_yaml(content), validator=validator)
