"""``python -m hwsim``: the command line."""

from hwsim.cli.main import entry_point

if __name__ == "__main__":
    entry_point()
