"""The rehearsal: damage done to copies of real raw data, one kind at a time, and what catches it.

`damages` says what is done, `rehearsal` does it and runs the real pipeline on it, `__main__` prints
the table (`make drill`).
"""
