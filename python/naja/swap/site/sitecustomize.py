# Found by Python's `site` at the start of every process under `naja run --swap`, because naja puts this folder into
# PYTHONPATH. It starts the swap, takes the folder off the path again and goes on with the `sitecustomize` that would
# have been found without it. Must be understood by every Python, back to 2.7.
import os
import sys


def start():
    here = os.path.dirname(os.path.abspath(__file__))
    if here in sys.path:
        sys.path.remove(here)
    sys.path_importer_cache.pop(here, None)
    package = os.path.dirname(os.path.dirname(here))
    try:
        scope = {"__name__": "naja_swap_start"}
        path = os.path.join(package, "swap", "start.py")
        with open(path) as file:
            exec(compile(file.read(), path, "exec"), scope)
        scope["start"](package)
    except Exception:
        # The program runs unswapped; `naja run` notices that nothing was told.
        pass


start()
del sys.modules["sitecustomize"]
# Where there is none, this raises what `site` expects then, and nothing stays behind.
import sitecustomize  # noqa: E402,F401
