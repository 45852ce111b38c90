"""`python -m trainers` is `avar`, for launchers that take a module."""

from trainers.cli import main

if __name__ == "__main__":
    main()
