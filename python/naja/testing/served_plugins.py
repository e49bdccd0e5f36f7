"""Plugins that count on what only workers of pytest-xdist do, and what each is given in its place.

pytest-cov has not seen our options, and believes that all tests run in the process that collects. Forked workers inherit
its measurement, and each writes what it has measured beside the controller's (`worker.leave`); pytest-cov combines all
that it finds there. What pytest-metadata would take from workers, each fork has from here. pytest-rerunfailures is served
in the worker (`worker.py`), which may be on another host. All else here is for workers in interpreters of their own.
"""

import os

# Names of plugins that ask for hooks of pytest-xdist's workers and may be forked all the same.
MAY_BE_FORKED = ("pytest_cov.plugin", "_cov", "pytest_metadata.plugin", "metadata")


def coverage(config):
    """The plugin of pytest-cov where it measures, else `None`."""
    plugin = config.pluginmanager.getplugin("_cov")
    return plugin if getattr(plugin, "cov_controller", None) is not None else None


def call_others(config, hook, /, **arguments):
    """Calls a hook for all plugins but pytest-cov's."""
    caller = getattr(config.hook, hook, None)
    if caller is None:
        return
    plugin = coverage(config)
    if plugin is not None:
        caller = config.pluginmanager.subset_hook_caller(hook, [plugin])
    caller(**arguments)


def serve(config, node):
    """Tells plugins in a worker what their own controllers would: pytest-cov its folder, pytest-randomly the seed."""
    plugin = coverage(config)
    if plugin is not None:
        import socket  # which takes its time, and few runs need it

        node.workerinput["cov_master_host"] = socket.gethostname()
        node.workerinput["cov_master_topdir"] = getattr(plugin.cov_controller, "topdir", os.getcwd())
        node.workerinput["cov_master_rsync_roots"] = []
    # pytest-randomly does it only where it finds a plugin by the name of xdist.
    if getattr(config.option, "randomly_seed", None) is not None:
        node.workerinput["randomly_seed"] = config.option.randomly_seed


def keep_coverage(config, node):
    """Writes what a worker in another folder has measured beside what was measured here."""
    plugin = coverage(config)
    data = getattr(node, "workeroutput", {}).get("cov_worker_data") if plugin is not None else None
    combining = getattr(plugin and plugin.cov_controller, "combining_cov", None)
    if data is None or combining is None:
        return
    from coverage import CoverageData  # not everybody has it

    measured = CoverageData(basename=combining.config.data_file, suffix=f"{node.gateway.id}.{os.getpid()}")
    measured.loads(data)
    measured.write()
    topdir = getattr(plugin.cov_controller, "topdir", os.getcwd())
    combining.config.paths.setdefault("source", [topdir]).append(node.workeroutput["cov_worker_path"])
