"""`ioc load compare` and `ioc load report`: what is done with results that were kept."""

import json
from pathlib import Path
from typing import Any

import click

from services.load import compare as comparison
from services.load import report
from services.load.parameters import Share
from services.load.run import FORMAT

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise click.UsageError(f"{path} cannot be read: {error}") from None


@click.command("compare")
@click.argument("a", type=_FILE)
@click.argument("b", type=_FILE)
@click.option(
    "--tolerance", type=Share(), default=str(comparison.TOLERANCE), show_default=True,
    help="Relative differences up to this are noise.",
)  # fmt: skip
@click.option("--anyway", is_flag=True, help="Call it better or worse though a run was disturbed.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def compare_command(a: Path, b: Path, tolerance: float, anyway: bool, as_json: bool) -> None:
    """Is B better or worse than A, or is it noise?

    A figure is better or worse when it differs by more than the tolerance and its curve, second by
    second, lies on one side of the other's (Mann-Whitney, p < 0.01). Nothing is called so where a
    run was its own limit or shared its machine, except a loss. Exit 1 when a figure is worse.

    \b
    Example:
      ioc load compare before.json after.json
    """
    try:
        runs = [comparison.check(str(path), _read(path)) for path in (a, b)]
    except comparison.NotComparableError as error:
        raise click.UsageError(str(error)) from None
    unlike = comparison.differences(*runs)
    lines = comparison.compare(runs[0], runs[1], tolerance)
    limits = comparison.disturbed(runs)
    if limits and not anyway:
        lines = comparison.withheld(lines)
    for difference in unlike:
        click.echo(f"not alike: {difference}", err=True)
    for limit in limits:
        click.echo(f"disturbed: {limit}", err=True)
    if as_json:
        click.echo(json.dumps(comparison.as_json(lines, unlike, limits), ensure_ascii=False))
    else:
        click.echo(comparison.as_text(lines))
    raise SystemExit(1 if any(line.call == "worse" for line in lines) else 0)


@click.command("report")
@click.argument("result", type=_FILE)
@click.option(
    "--html", type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="Write the report with charts.",
)  # fmt: skip
def report_command(result: Path, html: Path | None) -> None:
    """Show a result that was kept with --out.

    \b
    Example:
      ioc load report spike.json --html spike.html
    """
    found = _read(result)
    if not isinstance(found, dict) or found.get("ioc_load") != FORMAT:
        raise click.UsageError(f"{result} is no result of ioc load")
    if html is not None:
        html.write_text(report.html(found), encoding="utf-8")
    click.echo(report.text(found))
