"""`python -m lumpability`: the command line, see `lumpability.cli`."""

from lumpability.cli import main

if __name__ == "__main__":
    main()
