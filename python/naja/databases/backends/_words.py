"""Options of a URL and of a program, by the names that drivers have for them."""

import typing

_BOOLEANS = {"true": True, "false": False}


def sized(
    url_options: dict, options: dict, numbers: typing.Dict[str, str], texts: typing.Sequence[str] = ()
) -> dict:
    """Options of a URL under their drivers' names, then the program's; `numbers` maps names to drivers' names."""
    words: dict = {}
    for name, driver_s in numbers.items():
        if name in url_options:
            words[driver_s] = int(url_options[name])
    if "ssl" in url_options:
        words["ssl"] = _BOOLEANS[url_options["ssl"].lower()]
    for name in texts:
        if name in url_options:
            words[name] = url_options[name]
    for name, value in options.items():
        words[numbers.get(name, name)] = value
    return words
