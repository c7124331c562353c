"""Operation by operation beside NumPy; all else stands in `chainrule.bench.operations`.

python benchmarks/operations.py is `chainrule bench operations`, and takes the same options.
"""

import sys

from chainrule.cli import main

if __name__ == "__main__":
    sys.exit(main(["bench", "operations", *sys.argv[1:]]))
