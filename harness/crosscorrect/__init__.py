"""crosscorrect tells, with evidence, whether deep-learning frameworks compute the same cross-correlation.

Importing this package imports no framework, no NumPy and no pandas: it also runs inside every worker.
"""

__version__ = "0.1.0"
