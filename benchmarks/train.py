"""Training speed on six networks, with SGD and Adam; all else stands in `chainrule.bench.training`.

python benchmarks/train.py is `chainrule bench training`, and takes the same options.
"""

import sys

from chainrule.cli import main

if __name__ == "__main__":
    sys.exit(main(["bench", "training", *sys.argv[1:]]))
