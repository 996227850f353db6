"""Command line of the project in a checkout: `python run.py COMMAND --flags`.

An installed package has the same commands as `spade-tf COMMAND --flags`.
"""

import sys
from pathlib import Path

if __name__ == "__main__":
    # First, so that no other `experiments` or `pipelines` on the path is taken for this one's.
    sys.path.insert(0, str(Path(__file__).resolve().parent))
    from experiments.command_line.main import cli

    cli()
