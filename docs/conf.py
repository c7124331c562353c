"""How Sphinx makes a site of these pages. What the build adds to Sphinx's own ways stands in pages.py.

The package is taken as it is installed; nothing here builds it.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import chainrule

project = "chainrule"
author = "the authors of chainrule"
version = release = chainrule.__version__
language = "en"

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
    "myst_parser",
    "sphinx_gallery.gen_gallery",
    "pages",
]
# The gallery's scripts are read by sphinx-gallery, which writes a page for each into figures/.
exclude_patterns = ["_build", "gallery", "_templates"]
templates_path = ["_templates"]
# Quotes and dashes are what the authors typed; `--help` must stay so.
smartquotes = False

# A name in single backquotes is a link where there is such a name, and code where there is none.
default_role = "py:obj"
nitpick_ignore_regex = [("py:obj", "(?s).*")]

autosummary_generate = True
autosummary_imported_members = False
# Two names that differ in capitals alone would be one file on some disks.
autosummary_filename_map = {"chainrule.split": "chainrule.split-function"}
autodoc_typehints = "none"  # types stand in the docstrings, with shapes and units
autodoc_member_order = "bysource"
numpydoc_show_class_members = False  # the template of classes lists them
numpydoc_class_members_toctree = False

myst_enable_extensions = ["attrs_inline", "colon_fence"]
myst_heading_anchors = 3

sphinx_gallery_conf = {
    "examples_dirs": "gallery",
    "gallery_dirs": "figures",
    "image_scrapers": ("pages",),
    "reset_modules": (),
    "within_subsection_order": "FileNameSortKey",
    "capture_repr": (),
    "abort_on_example_error": True,
    "download_all_examples": False,
    "show_signature": False,
    "show_memory": False,
    "write_computation_times": False,
    "remove_config_comments": True,
}

html_theme = "pydata_sphinx_theme"
html_title = "chainrule"
html_static_path = ["_static"]
html_css_files = ["chainrule.css"]
html_sidebars = {"index": [], "start": []}  # they stand alone
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "navigation_with_keys": False,
    "show_nav_level": 2,
    "navbar_align": "left",
    "header_links_before_dropdown": 6,
    "footer_start": ["sphinx-version"],
    "footer_end": ["theme-version"],
    "secondary_sidebar_items": {"**": ["page-toc"], "lectures": []},
    "pygments_light_style": "friendly",
    "pygments_dark_style": "monokai",
}
