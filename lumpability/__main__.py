"""The program `lumpability`, also `python -m lumpability`: the command line, see `lumpability.cli`."""

import sys


def main() -> None:
    """Run the command line and exit; an interrupt while it is imported is one line, too."""
    try:
        from lumpability.cli import main as run

        run()
    except KeyboardInterrupt:
        sys.stderr.write("Error: interrupted\n")
        sys.exit(130)


if __name__ == "__main__":
    main()
