"""Parameters that may vary, their distributions, and the targets that data can determine.

This package does not depend on a particular model: a neural mass model declares its own table
(``jrflow.model``).
"""
