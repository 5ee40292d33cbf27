"""The process: starts the command line. `python supervisor.py COMMAND --help` says what each command does."""

from cli.entry import main

if __name__ == "__main__":
    main()
