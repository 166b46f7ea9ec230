"""The mapping from HS codes to minerals: read its files strictly, and judge what they say.

The seeds as an analyst edits them (`seeds`), the lists of all HS codes they are compared with
(`reference`), the rules (`rules`, with `codes` and `texts`), and what the mapping covers
(`coverage`). dbt loads the same files; printing belongs to the command line.
"""
