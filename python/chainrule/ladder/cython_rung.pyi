# What the rung of Cython has; it is built from cython_rung.pyx.
from .problem import Problem, Trained

def train(problem: Problem) -> Trained: ...
