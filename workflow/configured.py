"""What `--config` gives a workflow."""

import sys
from collections.abc import Mapping


def configured(config: Mapping, **defaults: str | int | None) -> list:
    """The values of these names as texts, or as numbers where the default is one; None has to be given. What is wrong ends the
    workflow with one sentence: a name that it does not know would be lost without a word."""
    names = ", ".join(defaults)
    if unknown := set(config) - set(defaults):
        sys.exit(f"--config takes {names}, and no {', '.join(sorted(unknown))[:80]}")
    found = []
    for name, default in defaults.items():
        value = config.get(name, default)
        if value is None:
            sys.exit(f"--config needs a value for {name}, as in {name}=...; it takes {names}")
        if isinstance(default, int) and (type(value) is not int or value < 1):
            sys.exit(f"--config takes a whole number from 1 for {name}, not {str(value)[:80]!r}")
        found.append(value if isinstance(default, int) else str(value))
    return found
