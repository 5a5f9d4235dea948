"""``pairloop bench``: data × annotators × reward model × strategies × seeds, with numbers that CI can trust.

A cell runs the very `Campaign` that users run, in a temporary folder; it is measured on votes or gold scores of
held-out groups that the campaign never sees and that cost it nothing.
"""
