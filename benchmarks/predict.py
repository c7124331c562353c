"""Prediction of 1, 32 and 4,096 rows; all else stands in `chainrule.bench.prediction`.

python benchmarks/predict.py is `chainrule bench prediction`, and takes the same options.
"""

import sys

from chainrule.cli import main

if __name__ == "__main__":
    sys.exit(main(["bench", "prediction", *sys.argv[1:]]))
