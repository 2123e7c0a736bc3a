"""The one exception that means "the user's input is wrong": the CLI prints it without a traceback and exits with 1."""


class UserError(Exception):
    """A mistake the user can mend. The message says what is wrong, where, and what to do."""
