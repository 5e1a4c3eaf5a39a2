"""The commands of `freehold`. Exit codes: 0 done, 1 failed, 2 usage, 3 not signed in, 130 Ctrl-C."""

import json
import sys
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated

import typer

from provider.cli import beginning, developing, installing, publishing, settings, signing_in, transferring
from provider.cli.failures import Usage

app = typer.Typer(
    name="freehold",
    help="Publish apps to a Freehold and use the ones in your cloud.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


def _show_version(wanted: bool) -> None:
    if not wanted:
        return
    try:
        typer.echo(f"freehold {version('freehold')}")
    except PackageNotFoundError:
        typer.echo("freehold (from a source folder)")
    raise typer.Exit


@app.callback()
def _options(
    _version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="And exit.")
    ] = False,
) -> None:
    pass


for _command in (
    signing_in.login,
    signing_in.status,
    beginning.new,
    beginning.link,
    publishing.validate,
    publishing.push,
    publishing.release,
    installing.install,
    installing.instances,
    installing.logs,
    settings.env,
    settings.update,
    settings.rollback,
    installing.uninstall,
    transferring.export,
):
    app.command()(_command)
app.add_typer(developing.app, name="dev")
app.command("exec", context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})(
    developing.exec_
)
app.command("import")(transferring.import_)
app.command("open")(installing.open_)


def run() -> None:
    """The console script. Programs that asked for JSON get a document for a wrong call too."""
    try:
        app()
    except SystemExit as end:
        # Only the parser's refusals have this; a command that ran has written its own document already.
        message = getattr(end.__context__, "format_message", None)
        if message is not None and "--json" in sys.argv:
            print(json.dumps(Usage(message(), code="usage").document(), indent=2))  # noqa: T201
        raise


if __name__ == "__main__":
    run()
