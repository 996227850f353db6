"""`python -m experiments.commands COMMAND --flags`, for processes that a command starts."""

from experiments.commands.command_line import cli

cli()
