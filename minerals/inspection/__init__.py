"""What the quality gates look at: tables brought into shapes in which they can be judged.

`tables` makes those shapes in SQL, `baseline` reads the figures of the release served that a new
run is compared with. What is good and what is bad, with thresholds and severities, is said in the
suites of `expectations/`; nothing here judges.
"""
