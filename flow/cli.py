"""The command line. Human output by default, `--json` where a program would read it.

Exit codes: 0 done, 1 findings or rejects, 2 wrong use, 3 a system was not available.
The commands stand in flow/cli_*.py, by what they are for. Each imports what it needs when it runs: `crossdock --help` and `crossdock lint` answer at once.
"""

from __future__ import annotations

import json
import os
import sys
from io import TextIOWrapper

import typer

from flow import cli_look, cli_mappings, cli_push, cli_quarantine, cli_run
from hub.boundary import disk_refusal, disk_trouble
from hub.errors import CrossdockError

_STOPPED = 130  # by ctrl-C: the shells' 128 and the number of the signal, and what typer makes of it

app = typer.Typer(
    name="crossdock",
    help="Joins the cart, the ERP and the CRM: pull → stage → map → gate → merge → reconcile → push.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for part in (cli_run, cli_mappings, cli_push, cli_look):
    app.registered_commands += part.app.registered_commands
app.add_typer(cli_quarantine.app, name="quarantine")
app.add_typer(cli_mappings.new_app, name="new")


def _app() -> None:
    """The command. Raises StreamError F240 where the disk said no, which a dozen libraries each say in their own way."""
    try:
        app()
    except (CrossdockError, BrokenPipeError):
        raise
    except Exception as error:
        if not (said := disk_trouble(error)):
            raise
        raise disk_refusal(said) from None


def main() -> None:
    """Entry point: every error a user can cause ends as one sentence, a code and an exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # a run goes on where its log cannot say ✓
    try:
        _app()
    except CrossdockError as error:
        if "--json" in sys.argv:
            print(
                json.dumps(
                    {
                        "error": {
                            "code": error.code,
                            "what": error.what,
                            "fix": error.fix,
                            "place": str(error.place or ""),
                        }
                    }
                )
            )
        else:
            from flow import show

            show.error(error)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        _stop()
    except SystemExit as ended:
        if ended.code != _STOPPED:
            raise
        _stop()


def _stop() -> None:
    """Threads that wait for a system would be waited for, an hour if it takes that; to be killed loses nothing."""
    print("stopped", file=sys.stderr)
    sys.stdout.flush()
    os._exit(_STOPPED)
