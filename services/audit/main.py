"""`ioc audit`: is what the view shows what the source topics say?"""

import asyncio
import json
import os
import re
import shutil
import sys
import tempfile
from pathlib import Path

import click

import services.runtime
from services.audit import report as reports
from services.audit.asking import NOW
from services.audit.run import AuditError, Wanted, run
from services.oracle.kpis import KPIS
from services.oracle.oracle import Places
from services.oracle.windows import WINDOWS
from services.runtime.service import OK, WANTING
from services.runtime.settings import Settings, SettingsError, load, read

DATA = Path(services.runtime.__file__).parent / "data"
#: Everything else on the machine goes first.
NICENESS = 15
_INDICATORS = ("ind.value", "ind.sum")


def _settings(bootstrap: str | None, namespace: str | None) -> Settings:
    given = {"IOC_BOOTSTRAP": bootstrap, "IOC_NAMESPACE": namespace}
    try:
        # The flags go through the same checks as the environment.
        return read(load().environment() | {k: v for k, v in given.items() if v is not None})
    except SettingsError as error:
        raise click.UsageError(str(error)) from None


def _check_kpis(_: click.Context, __: click.Parameter, names: tuple[str, ...]) -> tuple[str, ...]:
    unknown = [name for name in names if name not in KPIS and name not in _INDICATORS]
    if unknown:
        raise click.BadParameter(f"the oracle knows no KPI called {', '.join(unknown)}")
    return names


def _check_codes(_: click.Context, __: click.Parameter, codes: tuple[str, ...]) -> tuple[str, ...]:
    known = {*Places.from_csv(DATA).known(), "unknown"}
    unknown = [code for code in codes if code.split(".")[0] not in known]
    if unknown:
        raise click.BadParameter(f"no territory has the code {', '.join(unknown)}")
    return codes


def _check_memory(_: click.Context, __: click.Parameter, text: str) -> str:
    if not re.fullmatch(r"[1-9][0-9]{0,5}(MB|GB)", text):
        raise click.BadParameter("expected megabytes or gigabytes, like 512MB or 2GB")
    return text


@click.command("audit")
@click.option("--bootstrap", help="Brokers to ask first.  [IOC_BOOTSTRAP]")
@click.option("--namespace", help="Topics of that namespace.  [IOC_NAMESPACE]")
@click.option("--view", help="Address of the view, like http://127.0.0.1:8080.  [IOC_VIEW_PORT]")
@click.option("--kpi", "kpis", multiple=True, callback=_check_kpis, help="Only this KPI.")
@click.option(
    "--window", "windows", multiple=True, type=click.Choice([*WINDOWS, NOW]), help="Only this."
)
@click.option(
    "--territory", "codes", multiple=True, callback=_check_codes, help="Only this and below it."
)
@click.option("--dimensions", is_flag=True, help="The rows of every dimension too.")
@click.option(
    "--keep",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Keep the DuckDB database in this new file, for questions of your own.",
)
@click.option(
    "--memory", default="512MB", show_default=True, callback=_check_memory, help="For DuckDB."
)
@click.option("--limit", default=100, show_default=True, help="Differences shown at most.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def audit(
    bootstrap: str | None,
    namespace: str | None,
    view: str | None,
    kpis: tuple[str, ...],
    windows: tuple[str, ...],
    codes: tuple[str, ...],
    dimensions: bool,
    keep: Path | None,
    memory: str,
    limit: int,
    as_json: bool,
) -> None:
    """Recompute every number from the source topics and compare it with the live view.

    The view says each window's numbers together with the offsets that they rest on; everything
    below those offsets is read again, computed by other code (DuckDB), and compared: KPIs,
    indicators, outcomes, dead letters. Runs beside a live system: joins no group, changes nothing,
    at the lowest priority, in bounded memory. Exit code 0: all equal; 1: something differs, or the
    audit could not be made.

    \b
    Examples:
      ioc audit
      ioc audit --kpi gov.on_time_rate --window month --territory 51
      ioc audit --dimensions --keep audit.duckdb --json
    """
    settings = _settings(bootstrap, namespace)
    url = view or settings.view_url
    if not re.fullmatch(r"https?://[^/\s]+(/.*)?", url):
        raise click.BadParameter(
            f"{url!r} is no address like http://127.0.0.1:8080", None, None, "--view"
        )
    if keep is not None and keep.exists():
        raise click.UsageError(f"--keep: {keep} is already there")
    os.nice(NICENESS)
    folder = _folder(settings)
    try:
        result = asyncio.run(
            run(
                settings.bootstrap,
                settings.namespace,
                url,
                Places.from_csv(DATA),
                Wanted(windows, kpis, codes, dimensions),
                keep or folder / "audit.duckdb",
                memory,
                lambda line: click.echo(line, err=True),
            )
        )
    except AuditError as error:
        if as_json:
            click.echo(json.dumps({"equal": None, "error": str(error)}))
        click.echo(f"no audit: {error}", err=True)
        sys.exit(WANTING)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if as_json:
        click.echo(json.dumps(reports.document(result), ensure_ascii=False))
    else:
        click.echo(reports.text(result, limit))
    sys.exit(WANTING if result.found.differences else OK)


def _folder(settings: Settings) -> Path:
    """A new folder under the data directory, for what does not fit in memory."""
    try:
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(prefix="audit-", dir=settings.data_dir))
    except OSError as error:
        raise click.UsageError(
            f"IOC_DATA_DIR: cannot write in {settings.data_dir}: {error.strerror}"
        ) from None
