"""The walls of the house: who may import whom, who reads the environment, who writes the warehouse.

Read from the source, so that a wall holds also where no other test passes.
"""

import ast
import re
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from minerals.settings import PROJECT_ROOT

PACKAGES = ("minerals", "orchestration", "expectations", "dashboard")
FOLDERS = (
    "orchestration/assets", "minerals/sources", "minerals/ppml", "minerals/sourcing",
    "dbt_project/models/staging", "dbt_project/models/conformed", "dbt_project/models/marts",
    "dbt_project/seeds", "dbt_project/tests", "expectations", "warehouse", "tests/unit",
    "tests/integration",
)  # fmt: skip
WRITERS = {
    "orchestration/resources.py": {"self.database"},  # the warehouse
    "minerals/releases/serving.py": {"quoted(temporary)"},  # the views, before they are in place
}


@cache
def tree(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"), str(file))


def modules(*packages: str) -> list[Path]:
    files = [file for package in packages for file in (PROJECT_ROOT / package).rglob("*.py")]
    assert files
    return sorted(files)


def name_of(file: Path) -> str:
    return file.relative_to(PROJECT_ROOT).as_posix()


def imported(file: Path) -> Iterator[tuple[int, str]]:
    """Every imported package with its line, also those inside functions."""
    for node in ast.walk(tree(file)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name.partition(".")[0]) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name_of(file)}:{node.lineno} is relative: name the package"
            yield node.lineno, (node.module or "").partition(".")[0]


def calls(file: Path, function: str) -> Iterator[ast.Call]:
    for node in ast.walk(tree(file)):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == function:
            yield node


@pytest.mark.parametrize(
    ("package", "forbidden"),
    [
        ("minerals", {"orchestration", "expectations", "dagster", "dagster_dbt", "dbt",
                      "great_expectations", "dashboard"}),
        ("expectations", {"orchestration", "dagster", "dagster_dbt", "dbt"}),
        ("dashboard", {"orchestration", "expectations", "dagster", "dagster_dbt", "dbt"}),
    ],
)  # fmt: skip
def test_imports_go_one_way(package, forbidden):
    crossing = [
        f"{name_of(file)}:{line} imports {name}"
        for file in modules(package)
        for line, name in imported(file)
        if name in forbidden
    ]
    assert crossing == []


def test_expectations_import_only_names_and_marts_of_the_domain():
    allowed = ("from minerals.names import ", "from minerals.marts import ")
    crossing = [
        f"{name_of(file)}:{node.lineno}"
        for file in modules("expectations")
        for node in ast.walk(tree(file))
        if isinstance(node, ast.Import | ast.ImportFrom)
        and "minerals" in ast.unparse(node).split()[1]
        and not ast.unparse(node).startswith(allowed)
    ]
    assert crossing == []


def test_the_dashboard_reads_releases_and_names_and_nothing_else():
    """One page asks for one computation: what is lost without the suppliers that a reader picks,
    which no mart can hold for every choice."""
    asked_for = {
        "dashboard/pages/shocks.py": {"from minerals.sourcing.shocks import losses"},
    }
    allowed = {"minerals.names", "minerals.marts", "minerals.settings", "minerals.errors",
               "minerals.releases"}  # fmt: skip
    crossing = [
        f"{name_of(file)}:{node.lineno} imports {module}"
        for file in modules("dashboard")
        for node in ast.walk(tree(file))
        for module in named(node)
        if module.partition(".")[0] == "minerals"
        and ".".join(module.split(".")[:2]) not in allowed
        and ast.unparse(node) not in asked_for.get(name_of(file), ())
    ]
    assert crossing == []


def named(node: ast.AST) -> list[str]:
    """The modules that an import statement names, in full."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [node.module or ""] if isinstance(node, ast.ImportFrom) else []


def test_a_page_of_the_dashboard_computes_nothing():
    """It may select, sum, join and sort rows; a product or a quotient belongs to a mart."""
    arithmetic = (ast.Mult, ast.Div, ast.FloorDiv, ast.Pow, ast.Mod)
    libraries = {"numpy", "scipy", "statsmodels", "pandas"}
    pages = modules("dashboard/pages")
    wrong = [
        f"{name_of(file)}:{node.lineno}"
        for file in pages
        for node in ast.walk(tree(file))
        if isinstance(node, ast.BinOp) and isinstance(node.op, arithmetic)
    ]
    wrong += [
        f"{name_of(file)}:{line} imports {name}"
        for file in pages
        for line, name in imported(file)
        if name in libraries
    ]
    in_sql = re.compile(r"[\w)]\s*[*/^%]\s*[\w(]")  # between two operands; `select *` has none
    wrong += [
        f"{name_of(file)}:{node.lineno}: {found.group()}"
        for file in pages
        for node in ast.walk(tree(file))
        if isinstance(node, ast.Constant) and "marts." in str(node.value)
        for found in [in_sql.search(re.sub(r"(select|distinct)\s+\*", "", str(node.value)))]
        if found
    ]
    assert wrong == []


def test_estimation_imports_nothing_of_sourcing():
    crossing = [
        f"{name_of(file)}:{node.lineno}"
        for file in modules("minerals/ppml")
        for node in ast.walk(tree(file))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("minerals.sourcing")
    ]
    assert crossing == []


def test_only_the_settings_read_the_environment():
    words = {"environ", "environb", "getenv", "getenvb", "putenv"}
    readers = {
        name_of(file)
        for file in modules(*PACKAGES)
        for node in ast.walk(tree(file))
        if (isinstance(node, ast.Attribute) and node.attr in words)
        or (isinstance(node, ast.ImportFrom) and words & {alias.name for alias in node.names})
    }
    assert readers == {"minerals/settings.py"}


def opened_for_writing(file: Path) -> set[str]:
    """What `duckdb.connect` or SQL's `attach` opens in this file, except in memory or read-only."""
    found = set()
    for call in calls(file, "duckdb.connect"):
        read_only = any(
            k.arg == "read_only" and ast.unparse(k.value) == "True" for k in call.keywords
        )
        target = ast.unparse(call.args[0]) if call.args else "':memory:'"
        if not read_only and target != "':memory:'":
            found.add(target)
    return found | attached_for_writing(file)


def attached_for_writing(file: Path) -> set[str]:
    """What the SQL statements of this file that begin with `attach` open."""
    found = set()
    for node in ast.walk(tree(file)):
        if isinstance(node, ast.JoinedStr | ast.Constant):
            text = ast.unparse(node).lstrip("f\"'")
            if text.lower().startswith("attach ") and "read_only" not in text.lower():
                inside = [v.value for v in ast.walk(node) if isinstance(v, ast.FormattedValue)]
                found |= {ast.unparse(expression) for expression in inside}
                found |= {text} if " as " in text and not inside else set()
    return found


def test_one_place_opens_the_warehouse_for_writing():
    opened = {name_of(file): opened_for_writing(file) for file in modules(*PACKAGES)}
    assert {name: targets for name, targets in opened.items() if targets} == WRITERS


def test_duckdb_is_opened_under_its_own_name():
    """`from duckdb import connect` or an alias would pass by the wall above."""
    hidden = [
        f"{name_of(file)}:{node.lineno}"
        for file in modules(*PACKAGES)
        for node in ast.walk(tree(file))
        if (isinstance(node, ast.ImportFrom) and node.module == "duckdb")
        or (
            isinstance(node, ast.Import)
            and any(alias.name == "duckdb" and alias.asname for alias in node.names)
        )
    ]
    assert hidden == []


def test_nothing_is_printed_and_no_exception_is_caught_unnamed():
    wrong = [
        f"{name_of(file)}:{node.lineno}"
        for file in modules(*PACKAGES)
        for node in ast.walk(tree(file))
        if (isinstance(node, ast.Call) and ast.unparse(node.func) in {"print", "pprint"})
        or (isinstance(node, ast.ExceptHandler) and node.type is None)
    ]
    assert wrong == []


def test_every_module_says_what_it_is_for():
    silent = [
        name_of(f) for f in modules(*PACKAGES) if tree(f).body and not ast.get_docstring(tree(f))
    ]
    assert silent == []


def test_the_definitions_fit_on_a_screen():
    lines = (PROJECT_ROOT / "orchestration" / "definitions.py").read_text().splitlines()
    assert len(lines) <= 60


@pytest.mark.parametrize("folder", FOLDERS)
def test_the_folders_are_where_they_are_looked_for(folder):
    assert (PROJECT_ROOT / folder).is_dir()


def test_the_packages_this_is_built_for_are_declared():
    project = tomllib.loads((PROJECT_ROOT / "pyproject.toml").read_text())["project"]
    declared = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    for package in ("dagster", "dagster-dbt", "dbt-duckdb", "duckdb", "pandas", "statsmodels",
                    "great-expectations", "pytest"):  # fmt: skip
        assert any(line.startswith(f"{package}>") for line in declared), package
