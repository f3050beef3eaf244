"""Exercises in lumping, with their solutions and a grader that names the first wrong step.

`exercise` makes a small Markov chain whose coarsest lumping takes a given number of rounds of refinement,
from a seed.  `sheet` and `solution` write it in Markdown, LaTeX or HTML.  `grade` reads a student's answer and
stops at the first wrong step, with the two states and the sums that show it.  `network_exercise` makes a small
network with neurons to merge.  A sheet holds its task in a comment, so that the sheet alone is enough to grade it.
"""

from lumpability.teaching.exercises.construct import exercise
from lumpability.teaching.exercises.grade import Grade, grade, read_answer
from lumpability.teaching.exercises.neurons import NetworkTask, network_exercise
from lumpability.teaching.exercises.sheet import FORMATS, model_answer, sheet, solution
from lumpability.teaching.exercises.task import Task, observations, read_task, rounds_of, write_task

__all__ = [
    "FORMATS",
    "Grade",
    "NetworkTask",
    "Task",
    "exercise",
    "grade",
    "model_answer",
    "network_exercise",
    "observations",
    "read_answer",
    "read_task",
    "rounds_of",
    "sheet",
    "solution",
    "write_task",
]
