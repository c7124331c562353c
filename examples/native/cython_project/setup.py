"""Build the extension modules against the headers of the chainrule that is installed."""

from Cython.Build import cythonize
from setuptools import Extension, setup

import chainrule

# Vectors for the loops: no number is NaN's signal, and nobody reads errno.
FLAGS = ["-O3", "-fno-math-errno", "-fno-trapping-math"]

modules = [
    Extension(name, [f"src/{name}.pyx"], include_dirs=[chainrule.get_include()], extra_compile_args=FLAGS)
    for name in ("swish", "gatherer")
]
setup(ext_modules=cythonize(modules, language_level=3))
