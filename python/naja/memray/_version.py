# The version of memray whose interface this is.
__version__ = "1.20.0"
