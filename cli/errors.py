"""What the command line says when it cannot go on."""


class CliError(Exception):
    """The message is one line for the user; `cli.main` prints it and exits with 2."""
