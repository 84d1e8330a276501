"""What may vary: parameters, their distributions, and what data can determine of them.

Nothing here knows a particular model: a neural mass model declares its own table (``jrflow.model``).
"""
