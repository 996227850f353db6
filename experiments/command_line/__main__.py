"""`python -m experiments.command_line COMMAND --flags`, for processes that a command starts."""

from experiments.command_line.main import cli

cli()
