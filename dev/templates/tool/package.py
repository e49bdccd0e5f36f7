"""example_WORD, in Rust: `import naja.example_WORD` instead of `import example_WORD`."""

from naja._native import WORD as _WORD

__all__ = ["count_lines"]

count_lines = _WORD.count_lines
