"""The networks that Table 1 compares with: one file each, which holds the network and, in ``RECIPE``, how it is fed and
trained. A file that is added here is a peer by its name.
"""

from importlib import import_module
from pkgutil import iter_modules

from .recipe import Recipe

_RECIPES = {name: import_module(f".{name}", __name__).RECIPE for _, name, _ in iter_modules(__path__) if name != "recipe"}
PEERS: dict[str, Recipe] = dict(sorted(_RECIPES.items(), key=lambda each: each[1].rank))
