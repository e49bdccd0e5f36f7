"""A made-up original: it shows the shape of a conformance run, and goes when the real one comes."""


def count_lines(text):
    if not text:
        raise ValueError("the text is empty")
    return text.count("\n") + (not text.endswith("\n"))
