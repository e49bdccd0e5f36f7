"""The tests of the made-up original."""

import pytest

from example_WORD import count_lines


@pytest.mark.parametrize("text, count", [("a", 1), ("a\n", 1), ("a\nb", 2), ("\n\n", 2)])
def test_lines_are_counted(text, count):
    assert count_lines(text) == count


def test_an_empty_text_is_refused():
    with pytest.raises(ValueError, match="empty"):
        count_lines("")


def test_it_says_where_it_comes_from():
    import example_WORD

    assert example_WORD.__name__ == "example_WORD"
