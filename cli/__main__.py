"""``python -m cli``: the command `mirnagraph`."""

from cli.start import main

if __name__ == "__main__":
    main()
