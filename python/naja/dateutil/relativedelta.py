"""Distances in years, months and smaller parts, which can be added to dates and datetimes."""

from naja._native import dates as _dates

from ._common import weekday

__all__ = ["relativedelta", "MO", "TU", "WE", "TH", "FR", "SA", "SU"]

MO, TU, WE, TH, FR, SA, SU = weekdays = tuple(weekday(number) for number in range(7))

relativedelta = _dates.relativedelta
