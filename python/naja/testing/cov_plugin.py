"""What pytest-cov needs, which has not seen our options and believes that all tests run in the process that collects.

Forked workers inherit its measurement, and each writes what it has measured beside the controller's (`worker.leave`);
pytest-cov combines all that it finds there. Here is what workers in interpreters of their own need besides.
"""

import os
import socket


def plugin_of(config):
    """The plugin of pytest-cov where it measures, else `None`."""
    plugin = config.pluginmanager.getplugin("_cov")
    return plugin if getattr(plugin, "cov_controller", None) is not None else None


def call_others(config, hook, /, **arguments):
    """Calls a hook for all plugins but pytest-cov's."""
    caller = getattr(config.hook, hook, None)
    if caller is None:
        return
    plugin = plugin_of(config)
    if plugin is not None:
        caller = config.pluginmanager.subset_hook_caller(hook, [plugin])
    caller(**arguments)


def serve(config, node):
    """Tells pytest-cov in a worker what its own controller would: that it measures in the same folder."""
    plugin = plugin_of(config)
    if plugin is not None:
        node.workerinput["cov_master_host"] = socket.gethostname()
        node.workerinput["cov_master_topdir"] = getattr(plugin.cov_controller, "topdir", os.getcwd())
        node.workerinput["cov_master_rsync_roots"] = []


def keep(config, node):
    """Writes what a worker in another folder has measured beside what was measured here."""
    plugin = plugin_of(config)
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
