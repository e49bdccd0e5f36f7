"""The extension module: what the drop-ins are made of. Import it through `naja`, never by itself."""

__version__: str
