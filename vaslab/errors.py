"""The errors a user can meet, each with the exit code of the command line."""


class VaslabError(Exception):
    """Something went wrong that the message explains in one line, with its fix. Exit code 1."""

    exit_code = 1


class UsageError(VaslabError):
    """The call itself is wrong: an unknown name, or options that exclude each other. Exit code 2."""

    exit_code = 2


class MissingError(VaslabError):
    """Something named in the message is not there: a file, a package, a browser. Exit code 3."""

    exit_code = 3


def one_line(error: BaseException) -> str:
    """Return an error's message without its line breaks, or its type where it has none."""
    return " ".join(str(error).split()) or type(error).__name__
