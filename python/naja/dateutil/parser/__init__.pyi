from ._parser import (
    DEFAULTPARSER as DEFAULTPARSER,
    ParserError as ParserError,
    UnknownTimezoneWarning as UnknownTimezoneWarning,
    parse as parse,
    parse_many as parse_many,
    parse_with_format as parse_with_format,
    parser as parser,
    parserinfo as parserinfo,
)
from .isoparser import isoparse as isoparse, isoparser as isoparser

__all__ = ["parse", "parser", "parserinfo", "isoparse", "isoparser", "ParserError", "UnknownTimezoneWarning"]
