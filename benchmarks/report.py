"""Put stored results into the pages and the picture: `python benchmarks/report.py` writes, `--check` only compares.

The figures stand between two markers in README.md and benchmarks/README.md and are never typed by hand.
"""

from __future__ import annotations

import sys
from pathlib import Path

from chainrule.bench import operations_page, picture, report

ROOT = Path(__file__).parent.parent
PAGES = {
    ROOT / "README.md": report.readme_section,
    ROOT / "benchmarks" / "README.md": report.page_section,
    ROOT / "docs" / "operations.md": operations_page.section,
}


def made() -> dict[Path, str]:
    """Return what the stored results make of every file."""
    results = report.load(ROOT / "benchmarks" / "results")
    files = {page: report.between_markers(page.read_text(), section(results)) for page, section in PAGES.items()}
    return {**files, ROOT / report.PICTURE: picture.draw(results["training"])}


def stale() -> list[str]:
    """Return the files that say something else than the stored results."""
    return [
        str(path.relative_to(ROOT)) for path, text in made().items() if not path.exists() or path.read_text() != text
    ]


def main() -> int:
    if "--check" in sys.argv[1:]:
        found = stale()
        if found:
            print(f"not the figures of benchmarks/results: {', '.join(found)}; run python benchmarks/report.py")
        return int(bool(found))
    for path, text in made().items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
