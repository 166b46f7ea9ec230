"""The mapping from HS codes to minerals: reading its files strictly, and judging what they say.

Belongs here: the seeds as an analyst edits them (`seeds`), the lists of all HS codes they are
compared with (`reference`), the rules (`rules`, with `codes` and `texts`), what the mapping covers
(`coverage`), and what a changed mapping moves (`moves`). Does not belong here: dbt, which loads the
same files, and the words on the terminal.
"""
