"""Names of things in modules: `module:attribute`."""

import importlib
import typing


class ImportFromStringError(Exception):
    """Such a name leads nowhere."""


def import_from_string(import_str: str) -> typing.Any:
    """What `module:attribute.attribute` names.

    An import that fails inside of the module is raised as it is.
    """
    module_name, _, path = import_str.partition(":")
    if not module_name or not path:
        raise ImportFromStringError(f'Import string "{import_str}" must be in format "<module>:<attribute>".')
    try:
        found = importlib.import_module(module_name)
    except ImportError as error:
        if error.name != module_name:
            raise
        raise ImportFromStringError(f'Could not import module "{module_name}".') from None
    for name in path.split("."):
        try:
            found = getattr(found, name)
        except AttributeError:
            raise ImportFromStringError(f'Attribute "{path}" not found in module "{module_name}".') from None
    return found
