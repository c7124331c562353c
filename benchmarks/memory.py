"""Peak memory of importing and of training; all else stands in `chainrule.bench.memory`.

python benchmarks/memory.py is `chainrule bench memory`, and takes the same options.
"""

import sys

from chainrule.cli import main

if __name__ == "__main__":
    sys.exit(main(["bench", "memory", *sys.argv[1:]]))
