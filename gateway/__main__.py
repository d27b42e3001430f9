"""`python -m gateway` is `linegate`."""

from gateway.cli import main

main()
