"""The words that the engine before 1.0 reads, for those who look them up; changing them changes nothing."""

from naja._native import dates as _dates

_find = _dates.find

#: Abbreviations of zones, separated by `|`.
TIMEZONES_PATTERN = "|".join(_find.ZONES)
NA_TIMEZONES_PATTERN = "|".join(region for region, _ in _find.REGIONS)
ALL_TIMEZONES_PATTERN = TIMEZONES_PATTERN + "|" + NA_TIMEZONES_PATTERN
#: What is put in the place of words that a date parser does not understand.
REPLACEMENTS = {word: " " for word in _find.REPLACEMENTS}
TIMEZONE_REPLACEMENTS = dict(_find.REGIONS)
STRIP_CHARS = _find.STRIPPED
ALL_GROUPS = list(_find.GROUPS)
