"""Check what a build left behind: python .ci/check_build.py BUILD_FOLDER WHEEL_FOLDER.

- Files compiled for one instruction set must define no weak symbol. Were an inline function to be compiled for two
  sets, the linker would keep one copy, and an old processor could run into instructions that it does not have.
- The loops of the micro-kernels of matrix products keep everything in registers: no instruction of one touches the
  stack. (Those of AVX2 and AVX-512, as GCC makes them; baseline has no masks, and its edges go through memory.)
- The loop that measures the ceiling does all the multiply-adds that it counts: a compiler that found one of its chains
  out would leave it out, and every share of the ceiling would be too small.
- The wheel stays under 5 MB, and has the rungs of the ladder that g++ and Cython build: what is missing there is left
  out without an error when it runs.
"""

import re
import subprocess
import sys
import zipfile
from pathlib import Path

MOST_BYTES = 5_000_000
CEILING = Path(__file__).parent.parent / "csrc/cpu/ceiling.cpp"
RUNGS = ("libcpp_rung.so", "libopenmp_rung.so", "cython_rung.cpython-")
# Not code: a pointer that the C++ runtime puts into every object that unwinds.
HARMLESS = ("DW.ref.",)


def weak_symbols(file: Path) -> list[str]:
    """Return the weak symbols that an object file defines."""
    lines = subprocess.run(["nm", "-C", file], check=True, capture_output=True, text=True).stdout.splitlines()
    weak = [line.split(maxsplit=2) for line in lines if line[17:18] in ("W", "V", "u") and line[:1] != " "]
    return [fields[2] for fields in weak if not fields[2].startswith(HARMLESS)]


def loops_of(file: Path, function: str) -> dict[str, list[list[str]]]:
    """Return the instructions of the inner loops, those that multiply, of every such function in an object file."""
    command = ["objdump", "-d", "-C", "--no-show-raw-insn", file]
    listing = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    functions = {}
    for block in listing.split("\n\n"):
        head, *lines = block.strip().split("\n")
        name = re.search(rf"::({function}<[\w, ]+>)", head)
        if name is None:
            continue
        code = [(int(found[1], 16), found[2]) for line in lines if (found := re.match(r" *(\w+):\t(.*)", line))]
        jumps = [(at, re.match(r"j\w+ +([0-9a-f]+)", text)) for at, text in code]
        spans = [(int(to[1], 16), at) for at, to in jumps if to and int(to[1], 16) <= at]
        inner = [a for a in spans if not any(b != a and a[0] <= b[0] and b[1] <= a[1] for b in spans)]
        loops = [[text for at, text in code if begin <= at <= end] for begin, end in inner]
        functions[name[1]] = [loop for loop in loops if multiplications(loop)]
    return functions


def multiplications(loop: list[str]) -> int:
    """Return how many instructions of a loop multiply."""
    return sum(re.match(r"v?mulp[sd]|vfmadd", text) is not None for text in loop)


def chains_left_out(file: Path) -> list[str]:
    """Return what is wrong with the loop of the ceiling: not found, or fewer multiply-adds than it counts."""
    chains = int(re.search(r"chains = (\d+);", CEILING.read_text())[1])
    measured = loops_of(file, "multiply_adds")
    faults = [] if len(measured) == 2 else [f"{file}: {len(measured)} loops of the ceiling, not one a precision"]
    for name, loops in measured.items():
        counts = [multiplications(loop) for loop in loops]
        if len(counts) != 1 or counts[0] % chains != 0:
            faults.append(f"{file}: {name} multiplies {counts} times a round, not {chains}")
    return faults


def spills(file: Path) -> list[str]:
    """Return what is wrong with the tiles of an object file: none found, no loop found, or a loop that spills."""
    tiles = loops_of(file, "tile")
    faults = [] if tiles else [f"{file.name}: no tiles found"]
    for name, loops in tiles.items():
        stack = [text for loop in loops for text in loop if re.search(r"\(%r[sb]p", text)]
        if stack or not loops:
            faults.append(f"{file}: {name} " + (f"touches the stack: {stack[0]}" if stack else "has no loop"))
    return faults


def main() -> int:
    """Print the faults; return 1 if there are any."""
    build, wheels = Path(sys.argv[1]), Path(sys.argv[2])
    faults = []
    objects = [file for file in build.glob("CMakeFiles/chainrule_*.dir/csrc/cpu/*.o") if "_core" not in str(file)]
    if not objects:
        faults.append(f"no objects of instruction sets below {build}")
    for file in objects:
        faults += [f"{file.relative_to(build)} defines a weak symbol: {symbol}" for symbol in weak_symbols(file)]
    looked_at = ceilings = 0
    for file in objects:
        if file.name == "matmul.cpp.o" and "chainrule_baseline.dir" not in file.parts:
            faults += spills(file)
            looked_at += 1
        if file.name == "ceiling.cpp.o":
            faults += chains_left_out(file)
            ceilings += 1
    if ceilings == 0:
        faults.append(f"no loop of the ceiling below {build}")
    if looked_at == 0:
        faults.append(f"no matrix products of AVX2 or AVX-512 below {build}")
    for wheel in wheels.glob("chainrule-*.whl"):
        print(f"{len(objects)} objects; {wheel.name}: {wheel.stat().st_size:,} bytes")
        if wheel.stat().st_size > MOST_BYTES:
            faults.append(f"{wheel.name} has {wheel.stat().st_size:,} bytes, more than {MOST_BYTES:,}")
        names = zipfile.ZipFile(wheel).namelist()
        lost = [rung for rung in RUNGS if not any(name.startswith(f"chainrule/ladder/{rung}") for name in names)]
        faults += [f"{wheel.name} has no chainrule/ladder/{rung}" for rung in lost]
    print("\n".join(faults) or "no weak symbols, no spills, no chain left out")
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main())
