"""Entry point: finds the commands, runs one, turns errors into one message and an exit code.

Exit codes: 0 ok, 1 internal error, 2 usage or bad input, 3 finished with failed or infeasible
points, 4 a comparison fell short, 130 interrupted.
"""

from __future__ import annotations

import importlib
import io
import os
import pkgutil
import sys
import traceback
from pathlib import Path

import click

from hwsim.spec.errors import HwsimError, did_you_mean
from hwsim.spec.screen import fitted, on_screen

EPILOG = """Exit codes: 0 ok, 1 internal error, 2 usage or bad input, 3 finished with failed or
infeasible points, 4 a comparison fell short, 130 interrupted."""


class CommandFiles(click.Group):
    """A group whose commands are the modules of ``hwsim.cli``: each offers ``command``."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the command names, from the module names."""
        folder = str(Path(__file__).parent)
        names = [m.name for m in pkgutil.iter_modules([folder])]
        return sorted(n.replace("_", "-") for n in names if n not in ("main", "common") and not n.startswith("_"))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return one command, or None when there is no such module."""
        if cmd_name not in self.list_commands(ctx):
            return None
        module = importlib.import_module(f"hwsim.cli.{cmd_name.replace('-', '_')}")
        command: click.Command = module.command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; an unknown one is answered with the nearest name."""
        if args and args[0] not in self.list_commands(ctx) and not args[0].startswith("-"):
            message = f"unknown command {args[0]!r}; {did_you_mean(args[0], self.list_commands(ctx))}"
            raise click.UsageError(message, ctx)
        return super().resolve_command(ctx, args)


@click.group(cls=CommandFiles, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="hwsim")
def cli() -> None:
    """Tell what a number format and a PE design cost on a whole accelerator running a real model."""


def entry_point() -> None:
    """Run the command line and exit with its code."""
    sys.exit(run_command(sys.argv[1:]))


def run_command(arguments: list[str]) -> int:
    """Run one command line and return its exit code; every error becomes one message."""
    try:
        result = cli.main(args=arguments, prog_name="hwsim", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        return 130
    except click.ClickException as error:
        text = io.StringIO()
        error.show(text)
        click.echo(fitted(text.getvalue()), err=True, nl=False)
        return 2
    except HwsimError as error:
        click.echo(on_screen(error), err=True)
        return error.exit_code
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if os.environ.get("HWSIM_DEBUG"):
            traceback.print_exc()
        message = f"internal error: {type(error).__name__}: {error} (HWSIM_DEBUG=1 shows where)"
        click.echo(fitted(message), err=True)
        return 1
