"""Check what a build left behind: python .ci/check_build.py BUILD_FOLDER WHEEL_FOLDER.

- Files compiled for one instruction set must define no weak symbol. Were an inline function to be compiled for two
  sets, the linker would keep one copy, and an old processor could run into instructions that it does not have.
- The wheel stays under 5 MB.
"""

import subprocess
import sys
from pathlib import Path

MOST_BYTES = 5_000_000
# Not code: a pointer that the C++ runtime puts into every object that unwinds.
HARMLESS = ("DW.ref.",)


def weak_symbols(file: Path) -> list[str]:
    """Return the weak symbols that an object file defines."""
    lines = subprocess.run(["nm", "-C", file], check=True, capture_output=True, text=True).stdout.splitlines()
    weak = [line.split(maxsplit=2) for line in lines if line[17:18] in ("W", "V", "u") and line[:1] != " "]
    return [fields[2] for fields in weak if not fields[2].startswith(HARMLESS)]


def main() -> int:
    """Print the faults; return 1 if there are any."""
    build, wheels = Path(sys.argv[1]), Path(sys.argv[2])
    faults = []
    objects = [file for file in build.glob("CMakeFiles/chainrule_*.dir/csrc/cpu/*.o") if "_core" not in str(file)]
    if not objects:
        faults.append(f"no objects of instruction sets below {build}")
    for file in objects:
        faults += [f"{file.relative_to(build)} defines a weak symbol: {symbol}" for symbol in weak_symbols(file)]
    for wheel in wheels.glob("chainrule-*.whl"):
        print(f"{len(objects)} objects; {wheel.name}: {wheel.stat().st_size:,} bytes")
        if wheel.stat().st_size > MOST_BYTES:
            faults.append(f"{wheel.name} has {wheel.stat().st_size:,} bytes, more than {MOST_BYTES:,}")
    print("\n".join(faults) or "no weak symbols")
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main())
