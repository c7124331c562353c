"""What watching a fit costs; all else stands in `chainrule.bench.monitoring`.

python benchmarks/monitoring.py is `chainrule bench monitoring`, and takes the same options.
"""

import sys

from chainrule.cli import main

if __name__ == "__main__":
    sys.exit(main(["bench", "monitoring", *sys.argv[1:]]))
