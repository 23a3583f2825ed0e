"""`python -m touchlog` is `touchlog`."""

from touchlog.cli import main

main()
