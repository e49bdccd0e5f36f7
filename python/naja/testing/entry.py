"""What every pytest loads where naja is installed: `pytest -n 4` then works without pytest-xdist.

Both define `-n`, so that of two that are there pytest-xdist is left as it is; `-p no:xdist` says that naja is wanted,
`-p no:naja` that it is not. Nothing more is imported here, since this runs before every pytest.
"""

import importlib.util
import sys


def pytest_addoption(parser, pluginmanager):
    """Loads the plugin, unless another has its options."""
    if "naja_testing" in sys.modules:  # `naja test` has brought it along
        return
    if importlib.util.find_spec("xdist") is not None and not pluginmanager.is_blocked("xdist"):
        return
    # By its full name, so that `-p naja.testing.plugin` loads it no second time.
    pluginmanager.import_plugin("naja.testing.plugin")
