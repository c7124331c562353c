"""What importing costs; all else stands in `chainrule.bench.imports`.

python benchmarks/import_time.py is `chainrule bench imports`, and takes the same options.
"""

import sys

from chainrule.cli import main

if __name__ == "__main__":
    sys.exit(main(["bench", "imports", *sys.argv[1:]]))
