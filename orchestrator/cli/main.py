# SPDX-License-Identifier: Apache-2.0
"""Entry point of `orch`: global options, and errors turned into one line and an exit code."""

from __future__ import annotations

import errno
import os
import signal
import sys
import traceback
from pathlib import Path

import click

from orchestrator import __version__, extensions
from orchestrator.cli import attack, attest, build, care, keys, machine, measure, models, predict, report, run
from orchestrator.cli.context import Context
from orchestrator.cli.streams import make_patient
from orchestrator.cli.surroundings import open_streams, settle_drawing
from orchestrator.errors import INTERRUPTED, BootError, MistakesError, OrchError


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="orch")
@click.option(
    "--testbed", "testbed_file", type=click.Path(path_type=Path), metavar="FILE", help="testbed file [testbed.yaml]"
)
@click.option("--debug", is_flag=True, envvar="ORCH_DEBUG", help="show Python tracebacks")
@click.pass_context
def orch(context: click.Context, testbed_file: Path | None, debug: bool) -> None:
    """Build, boot and measure an emulated Arm CCA machine.

    Exit codes: 0 ok, 1 workload failed, 2 usage or configuration, 3 build, 4 boot or time-out, 5 attestation,
    6 environment.
    """
    extensions.load()
    context.obj = Context(testbed_file=testbed_file, debug=debug)


for module in (build, machine, models, measure, attest, run, predict, attack, report, keys, care):
    for command in module.COMMANDS:
        orch.add_command(command)


def entry() -> None:
    """Run `orch`; never shows a traceback unless asked to."""
    debug = "--debug" in sys.argv or bool(os.environ.get("ORCH_DEBUG"))
    interrupted = INTERRUPTED

    def stop(number: int, _frame: object) -> None:
        nonlocal interrupted
        interrupted = 128 + number
        raise KeyboardInterrupt

    open_streams()
    make_patient()
    settle_drawing()
    signal.signal(signal.SIGTERM, stop)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # `nohup` wants to outlive its terminal
        signal.signal(signal.SIGHUP, stop)  # a closed terminal cleans up like Ctrl-C
    try:
        returned = orch.main(standalone_mode=False)
        code = returned if isinstance(returned, int) else 0  # click hands over the code of an Exit
    except OrchError as error:
        for line in error.console if isinstance(error, BootError) else ():
            click.echo(f"  | {line}", err=True)
        told = error.mistakes if isinstance(error, MistakesError) else ((error.message, error.hint),)
        for message, hint in told:
            _report(message, hint, debug)
        code = error.exit_code
    except (click.Abort, KeyboardInterrupt):
        sys.stderr.write("orch: interrupted\n")
        code = interrupted
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nobody reads; end without noise
        code = 141
    except OSError as error:
        code = _report_os(error, debug)
    except Exception as error:  # the last resort for what we did not foresee
        _report(f"internal error: {type(error).__name__}: {error}", "`orch --debug …` shows where", debug)
        code = 1
    sys.exit(code)


def _report_os(error: OSError, debug: bool) -> int:
    """What the system refused; returns the exit code."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        _report(f"no space left on the device: {error.filename or 'a file could not be written'}", None, debug)
        return 6
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS) and error.filename is not None:
        hint = "XDG_CACHE_HOME (artifacts), XDG_STATE_HOME (machines) and --results move what orch writes"
        _report(f"{os.fsdecode(error.filename)}: {error.strerror}", hint, debug)
        return 6
    _report(f"internal error: {error}", "`orch --debug …` shows where", debug)
    return 1


def _report(message: str, hint: str | None, debug: bool) -> None:
    if debug:
        traceback.print_exc()
    first = click.style("error:", fg="red", bold=True)
    click.echo(f"{first} {message}", err=True)
    if hint:
        click.echo(f"  hint: {hint}", err=True)
