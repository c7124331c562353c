"""The matrix product over square and skinny shapes; all else stands in `chainrule.bench.products`.

python benchmarks/products.py is `chainrule bench products`, and takes the same options.
"""

import sys

from chainrule.cli import main

if __name__ == "__main__":
    sys.exit(main(["bench", "products", *sys.argv[1:]]))
