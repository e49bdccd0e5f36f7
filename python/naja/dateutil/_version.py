"""The version of python-dateutil whose interface and behaviour this is."""

__all__ = ["__version__", "__version_tuple__", "version", "version_tuple", "__commit_id__", "commit_id"]

__version__ = version = "4.0.0"
__version_tuple__ = version_tuple = (4, 0, 0)
__commit_id__ = commit_id = None
