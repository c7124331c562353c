"""What the build of the pages adds to Sphinx: the API by the catalogue, pages from elsewhere, links that hold twice.

Every page is read on the repository's host as well, so that a link in it is a path to a file there. Here such a path
becomes a link to a page of the site: `../README.md` to the README's copy in repository/, `gallery/plot_fits.py` to the
figure that this script draws; and where such a link is a paragraph of its own, it becomes the figure itself.

Nothing here changes what a page says, and nothing is fetched.
"""

from __future__ import annotations

import inspect
import re
import sys
from os.path import normpath, relpath
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import WeakSet

import numpy as np
from numpydoc.docscrape import NumpyDocString

import chainrule

if TYPE_CHECKING:
    from sphinx.application import Sphinx
    from sphinx.config import Config

DOCS = Path(__file__).parent
ROOT = DOCS.parent

# Pages of the repository outside docs/, and what they are called in the site's folder repository/.
ELSEWHERE = {
    "README.md": "readme",
    "CONTRIBUTING.md": "contributing",
    "CHANGELOG.md": "changelog",
    "examples/README.md": "examples",
    "examples/native/README.md": "native",
    "examples/native/numba_activation/README.md": "native_numba",
    "examples/native/cython_project/README.md": "native_cython",
    "examples/native/pybind11_project/README.md": "native_pybind11",
    "benchmarks/README.md": "benchmarks",
    "benchmarks/ladder/README.md": "ladder",
}

# Links ------------------------------------------------------------------------------------------------------------

LINK = re.compile(r"\]\(([^)#:\s]+)(#[^)\s]*)?\)")
FIGURE = re.compile(r"^\[([^\]]+)\]\((?:\.\./)?gallery/(plot_\w+)\.py\)$", re.MULTILINE)
ANCHOR = re.compile(r'<a id="([\w-]+)"></a>')


def linked(text: str, page: str) -> str:
    """Return the text of a page, a path from the root such as "docs/speed.md", with links as the site needs them."""
    here = Path(page).parent
    from_site = Path("docs/repository") if page in ELSEWHERE else here

    def link(match: re.Match[str]) -> str:
        path, anchor = normpath(here / match[1]), match[2] or ""
        script = re.fullmatch(r"docs/gallery/(plot_\w+)\.py", path)
        if script:
            return f"](/figures/{script[1]}.rst)"
        if path in ELSEWHERE:
            return f"](/repository/{ELSEWHERE[path]}.md{anchor})"
        if page in ELSEWHERE and (ROOT / path).exists():
            return f"]({relpath(path, from_site)}{anchor})"
        return match[0]

    text = FIGURE.sub(figure, text)
    return ANCHOR.sub(r"[]{#\1}", LINK.sub(link, text))


def figure(match: re.Match[str]) -> str:
    """Return a figure of the gallery for a link to its script that is a paragraph of its own."""
    caption, script = match.groups()
    picture = f"/figures/images/sphx_glr_{script}_001.png"
    return (
        f"```{{figure}} {picture}\n:alt: {caption}\n\n[{caption}](/figures/{script}.rst)\n```"
    )


def relink(app: Sphinx, docname: str, source: list[str]) -> None:
    """Turn the links of a page of docs/ when it is read."""
    if app.env.doc2path(docname).suffix == ".md" and not docname.startswith("repository/"):
        source[0] = linked(source[0], f"docs/{docname}.md")


def copy_pages(app: Sphinx, config: Config) -> None:
    """Write the pages from elsewhere into repository/."""
    for path, name in ELSEWHERE.items():
        write(
            DOCS / "repository" / f"{name}.md",
            linked((ROOT / path).read_text(encoding="utf-8"), path),
        )


def write(path: Path, text: str) -> None:
    """Write a file, unless it says the same already: what did not change need not be built again."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")


# The API ----------------------------------------------------------------------------------------------------------


class Group(NamedTuple):
    """A section of the catalogue: its title, and the public names that it is about, as paths from `chainrule`."""

    title: str
    names: list[str]


# What the catalogue has no table of.
FIRST = ("Networks and training", ["Network", "Trainer", "History", "Output", "LossValue"])

# Whose names the catalogue writes with the module in front.
SUBMODULES = ("plots", "onnx", "optuna", "sklearn")

# What the catalogue's table of parameters, which is no table of calls, belongs to.
OF_SECTIONS = {"scikit-learn's estimators": ["sklearn.MLPClassifier", "sklearn.MLPRegressor"]}


def groups() -> list[Group]:
    """Return the public names by the catalogue's sections: a row names one, and brings what lives in the same file."""
    text = (DOCS / "catalogue.md").read_text(encoding="utf-8")
    public = set(chainrule.__all__) - {"__version__"}
    found = [Group(FIRST[0], list(FIRST[1]))]
    homes: dict[str, list[str]] = {home(name): found[0].names for name in FIRST[1]}
    for section in text.split("\n## ")[1:]:
        title, _, body = section.partition("\n")
        rows = re.findall(r"^\| `([\w.]+)", body, re.MULTILINE)
        names = [
            name
            for name in dict.fromkeys(rows)
            if name in public or name.partition(".")[0] in SUBMODULES
        ]
        names = [name for name in names if name not in FIRST[1]]
        names += [name for name in OF_SECTIONS.get(title, []) if name not in names]
        for name in names:
            homes.setdefault(home(name), names)
        if names:
            found.append(Group(title, names))
    named = {name for group in found for name in group.names}
    for name in sorted(public - named):
        homes.get(home(name), found[-1].names).append(name)
    return found


def home(name: str) -> str:
    """Return the file in which a public name lives, as chainrule's own table has it."""
    return name.rpartition(".")[0] or chainrule._HOME[name]


def file_of(title: str) -> str:
    """Return the name of the file of a group's page."""
    return re.sub(r"\W+", "-", title.lower()).strip("-")


API = """API
===

Every public name, by the sections of :doc:`the catalogue </catalogue>`, which has the formulas. All but what is of a
submodule is imported with ``import chainrule as cr``.

.. toctree::
   :maxdepth: 1

   /catalogue
{}"""


def write_api(app: Sphinx, config: Config) -> None:
    """Write the pages of the API, one for each section of the catalogue, into api/."""
    found = groups()
    for title, names in found:
        listed = "\n".join(f"   {name}" for name in names)
        head = f"{title}\n{'=' * len(title)}\n\n"
        text = f"{head}.. currentmodule:: chainrule\n\n.. autosummary::\n   :toctree: generated\n\n{listed}\n"
        write(DOCS / "api" / f"{file_of(title)}.rst", text)
    listed = "".join(f"   {file_of(title)}\n" for title, _ in found)
    write(DOCS / "api" / "index.rst", API.format(listed))


# Docstrings -------------------------------------------------------------------------------------------------------

# What reStructuredText would take for a substitution or a link: |w|, and a name such as coefs_.
MARKUP = re.compile(r"\||(?<=\w)_(?=[^\w]|$)")


def escape(
    app: Sphinx, what: str, name: str, value: Any, options: Any, lines: list[str]
) -> None:
    """Let docstrings, which are written to be read as they are, mean what they say."""
    backquoted = False
    for i, line in enumerate(lines):
        if line.lstrip().startswith((">>>", "...")):
            continue
        parts = re.split("(`+)", line)
        for j, part in enumerate(parts):
            if part.startswith("`"):
                backquoted = not backquoted
            elif not backquoted:
                parts[j] = MARKUP.sub(lambda match: "\\" + match[0], part)
        lines[i] = "".join(parts)


# What only the package itself calls, or who writes another such class (adding_a_layer.md): not on the pages of the API.
HOOKS = {
    "ActivationFunction": ("layer", "parameter"),
    "Affine": (
        "activation_function",
        "check_affine",
        "columns",
        "constraint",
        "outputs",
        "parameter_shapes",
        "start",
        "starts",
        "weight_initializer",
    ),
    "Augmentation": ("changes", "check_columns"),
    "Constraint": ("bound", "build"),
    "History": ("add", "complete_last", "drop_last", "load_state_dict", "state_dict"),
    "Initializer": ("build",),
    "Layer": (
        "activation_function",
        "before",
        "build",
        "differs_in_training",
        "flaw",
        "has_kink",
        "is_connected",
        "kept",
        "label",
        "outputs",
        "parameter_shapes",
        "pattern",
        "start",
        "statistic_shapes",
    ),
    "OfFunctions": ("keep", "of_engine", "title"),
    "Loss": (
        "build",
        "check_head",
        "memberships",
        "metrics",
        "pattern",
        "targets",
        "threshold",
    ),
    "Network": ("check_measured", "options", "remade"),
    "Optimizer": (
        "build",
        "check_decay",
        "greatest_rate",
        "prepared",
        "rate_of_epoch",
        "state_of",
    ),
    "Output": ("looked",),
    "Penalty": ("build", "check_decay", "check_layers"),
    "Schedule": ("build",),
    "Snapshots": ("writer",),
    "StoppingRule": ("check", "monitored"),
    "Trainer": ("plan_epoch",),
}


def skip(
    app: Sphinx, what: str, name: str, value: Any, skipped: bool, options: Any
) -> bool | None:
    """Leave out hooks, what a list of attributes has told, and what scikit-learn adds to route metadata."""
    if name == "get_metadata_routing" or re.fullmatch(r"set_\w+_request", name):
        return True
    function = value.fget if isinstance(value, property) else getattr(value, "__func__", value)
    if not inspect.isfunction(function):
        return None
    owner = vars(sys.modules[function.__module__]).get(function.__qualname__.partition(".")[0])
    if not inspect.isclass(owner):
        return None
    told = {
        one
        for entry in NumpyDocString(inspect.getdoc(owner) or "")["Attributes"]
        for one in entry.name.split(", ")
    }
    if isinstance(value, property) and name in told:
        return True
    return True if any(name in HOOKS.get(base.__name__, ()) for base in owner.__mro__) else None


# Figures ----------------------------------------------------------------------------------------------------------

SAVED: WeakSet[Any] = WeakSet()
DOTS_PER_INCH = 150


def scrape(block: Any, block_vars: dict[str, Any], gallery_conf: dict[str, Any]) -> str:
    """Save what a block of a script has drawn: chainrule.plots makes figures of its own, which pyplot does not know."""
    from matplotlib.axes import Axes
    from sphinx_gallery.scrapers import figure_rst

    paths = []
    for value in list(block_vars["example_globals"].values()):
        first = value.flat[0] if isinstance(value, np.ndarray) and value.size else value
        if isinstance(first, Axes) and first.figure not in SAVED:
            path = next(block_vars["image_path_iterator"])
            first.figure.savefig(path, dpi=DOTS_PER_INCH)
            SAVED.add(first.figure)
            paths.append(path)
    return str(figure_rst(paths, gallery_conf["src_dir"]))


def _get_sg_image_scraper() -> Any:
    """Return what saves figures; sphinx-gallery asks for it by this name."""
    return scrape


def setup(app: Sphinx) -> dict[str, bool]:
    """Register all of it."""
    app.connect("config-inited", copy_pages)
    app.connect("config-inited", write_api)
    app.connect("source-read", relink)
    app.connect("autodoc-process-docstring", escape, priority=400)  # before numpydoc
    app.connect("autodoc-skip-member", skip)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
