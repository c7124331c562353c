"""chainrule's estimators beside scikit-learn's; all else stands in `chainrule.bench.estimators`.

python benchmarks/estimators.py is `chainrule bench estimators`, and takes the same options.
"""

import sys

from chainrule.cli import main

if __name__ == "__main__":
    sys.exit(main(["bench", "estimators", *sys.argv[1:]]))
