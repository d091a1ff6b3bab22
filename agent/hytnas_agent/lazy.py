"""Public names of a package, imported when they are first used: importing the package itself stays quick.

A package lists its names in ``_EXPORTS``, and repeats their imports under ``TYPE_CHECKING``, so that editors
and mypy know their types. ``TYPE_CHECKING`` is a plain ``False`` there: even ``typing`` is left to those who
need it. ``tests/agent/test_lazy.py`` holds the two lists together.
"""

import importlib
import sys


def export(package: str, exports: dict[str, tuple[str, ...]], name: str) -> object:
    """The public name of a package, from the module that defines it.

    Parameters
    ----------
    package : str
        The package's ``__name__``.
    exports : dict of module to names
    name : str

    Raises
    ------
    AttributeError
        The package has no such name.

    Examples
    --------
    >>> export("hytnas_agent", {"hytnas_agent.errors": ("HytnasError",)}, "HytnasError")
    <class 'hytnas_agent.errors.HytnasError'>
    """
    for module, names in exports.items():
        if name in names:
            found: object = getattr(importlib.import_module(module), name)
            setattr(sys.modules[package], name, found)
            return found
    raise AttributeError(f"module {package!r} has no attribute {name!r}")
