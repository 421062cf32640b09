"""`python -m filepipe` is the command line."""

from filepipe.cli.main import main

main()
