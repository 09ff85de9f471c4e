"""Files of applications, read in batches of columns and checked against the contract.

A CSV file is written as the contract says of the raw file, and a cell is read by the rule by which
it is read for training, see :mod:`creditrisk.data.cells`. What is said of a row that is not allowed
are the API's words. No row becomes a Python object unless it is refused.
"""
