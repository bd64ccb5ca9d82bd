"""The far end of `measure.call`: run one function in a fresh process and write what it returns.

It imports the function's module and nothing else, so that a measurement starts clean.
"""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path


def main() -> None:
    """Run `module:function` with the JSON arguments of standard input; write JSON to a file."""
    module, _, name = sys.argv[1].partition(":")
    function = getattr(importlib.import_module(module), name)
    returned = function(**json.load(sys.stdin))
    Path(sys.argv[2]).write_text(json.dumps(returned), encoding="utf-8")


if __name__ == "__main__":
    main()
