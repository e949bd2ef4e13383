"""`python -m glifcli`: the same as `glif`."""

from glifcli.cli.app import main

main()
