"""Property tests: the same examples at every run, so that a red test is a change's doing and not luck's.

`make fuzz` tries new ones, from a seed that it prints; what fails is printed with a line that repeats it.
"""

from hypothesis import settings

settings.register_profile("fixed", derandomize=True, deadline=None, print_blob=True)
settings.register_profile("explore", deadline=None, print_blob=True)
settings.load_profile("fixed")
