"""Small functions for datetimes: today in a zone, a zone for naive datetimes, nearly equal datetimes."""

from datetime import datetime, time


def today(tzinfo=None):
    """Today at midnight, in a zone where one is given."""
    return datetime.combine(datetime.now(tzinfo).date(), time(0, tzinfo=tzinfo))


def default_tzinfo(dt, tzinfo):
    """`dt` itself where it has a zone, otherwise `dt` with this one."""
    return dt.replace(tzinfo=tzinfo) if dt.tzinfo is None else dt


def within_delta(dt1, dt2, delta):
    """Whether two datetimes are at most `delta` apart; its sign does not matter."""
    delta = abs(delta)
    return -delta <= dt1 - dt2 <= delta
