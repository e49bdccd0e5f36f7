from naja.profiling import profile as profile

__version__: str
