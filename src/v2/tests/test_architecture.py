"""The plan of the house, held by reading the imports."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
SOURCE = ROOT / "src" / "v2"

FLOORS = [
    {
        *("errors", "console", "run_folders", "config", "config_flags", "config_help"),
        "config_sources",
        *("config_types", "config_training", "config_commands"),
    },
    {"evaluation_records", "case_records"},
    {"explanation_records", "detail_records"},
    {"records"},
    {"data"},
    {"features"},
    {"modeling"},
    {"scale"},
    {"evaluation"},
    {"explain"},
    {"figures"},
    {"tracking"},
    {"summary_text"},
    {"summary_features", "summary_record", "summary_run", "summary_evaluation"},
    {"page"},
    {"training_summary"},
    {"out_of_sample"},
    {"judgement", "ledgers"},
    {"explanation"},
    {"preparation"},
    {"pipeline"},
    {"decision_rows"},
    {"forecasting"},
    {"api"},
    {"audit_case"},
    {"audit_checks"},
    {"stored_records"},
    {"run_store"},
    {"run_files"},
    {"model_source"},
    {"lifecycle"},
    {"serving"},
    {"train", "predict", "runs", "audit", "report", "fetch", "promote", "monitor", "serve"},
    {"compare", "tune"},
]
"""From the ground up; imports point down or stay inside one topic."""

PRIVATE_LIBRARIES = {
    "mlflow": (
        "tracking/",
        *("serving/package.py", "serving/pyfunc_model.py", "serving/server.py"),
    ),
    "matplotlib": ("figures/",),
    "shap": ("figures/", "api.py"),
    "xgboost": (
        "modeling/learners/",
        "explain/shap_values.py",
        "tracking/scoring_model.py",
        "scale/",
    ),
    "skops": ("modeling/learners/hist_gradient_boosting.py",),
    "dask": ("scale/",),
    "distributed": ("scale/",),
    "numba": ("features/",),
    "optuna": ("lifecycle/study.py",),
    "yfinance": ("data/yahoo.py", "data/yahoo_session.py"),
    "requests": (),
    "curl_cffi": (),
    "urllib.request": ("tracking/store.py",),
    "pickle": (),
    "cloudpickle": (),
    "joblib": (),
}
"""Libraries that only some places may import, type hints aside."""

DOORS = (
    *("train", "predict", "runs", "audit", "report", "fetch"),
    *("promote", "monitor", "serve", "compare", "tune"),
)
HEAVY = ("numpy", "polars", "pandas", "xgboost", "mlflow", "shap", "matplotlib", "sklearn", "rich")


def _modules() -> list[Path]:
    return [path for path in SOURCE.rglob("*.py") if "tests" not in path.parts]


def _floor(module: str) -> int:
    top = module.split(".")[2]
    return next(level for level, names in enumerate(FLOORS) if top in names)


def _imports(path: Path) -> list[tuple[str, bool]]:
    """Every module imported, and whether only for type hints."""
    tree = ast.parse(path.read_text())
    hints: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            hints |= {inner for child in node.body for inner in ast.walk(child)}
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(alias.name, node in hints) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.append((node.module, node in hints))
    return found


def _name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


@pytest.mark.parametrize("path", _modules(), ids=_name)
def test_imports_point_down(path: Path) -> None:
    if path.parent == SOURCE and path.stem == "__init__":
        return
    own = _floor(_name(path))
    for module, hint in _imports(path):
        if not module.startswith("src.v2.") or hint:
            continue
        same_topic = module.split(".")[2] == _name(path).split(".")[2]
        assert same_topic or _floor(module) < own or own == 0, f"{_name(path)} imports {module}"


@pytest.mark.parametrize("path", _modules(), ids=_name)
def test_each_library_is_imported_only_where_it_belongs(path: Path) -> None:
    here = path.relative_to(SOURCE).as_posix()
    for module, hint in _imports(path):
        for library, places in PRIVATE_LIBRARIES.items():
            if not hint and (module == library or module.startswith(library + ".")):
                assert here.startswith(places or ("nowhere",)), f"{here} imports {module}"


def test_no_import_runs_in_a_circle() -> None:
    graph = {
        _name(path): {
            module for module, hint in _imports(path) if module.startswith("src.v2.") and not hint
        }
        for path in _modules()
    }
    done: set[str] = set()

    def visit(module: str, above: tuple[str, ...]) -> None:
        assert module not in above, f"circle: {' -> '.join((*above, module))}"
        if module in done or module not in graph:
            return
        for below in graph[module]:
            visit(below, (*above, module))
        done.add(module)

    for module in graph:
        visit(module, ())


@pytest.mark.parametrize("door", DOORS)
def test_help_imports_no_heavy_library(door: str) -> None:
    code = (
        "import sys\n"
        f"from src.v2.{door} import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit as end:\n    assert end.code == 0\n"
        f"loaded = [name for name in {HEAVY!r} if name in sys.modules]\n"
        "assert not loaded, loaded\n"
    )
    shown = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert shown.returncode == 0, shown.stderr
    assert f"python -m src.v2.{door}" in shown.stdout
    assert "--seed" in shown.stdout


@pytest.mark.parametrize("path", _modules(), ids=_name)
def test_nothing_runs_at_import_but_definitions(path: Path) -> None:
    allowed = (
        *(
            ast.Import,
            ast.ImportFrom,
            ast.FunctionDef,
            ast.AsyncFunctionDef,
            ast.ClassDef,
            ast.Assign,
            ast.AnnAssign,
        ),
        *(ast.Expr, ast.If, ast.AugAssign, ast.TypeAlias),
    )
    for node in ast.parse(path.read_text()).body:
        assert isinstance(node, allowed), f"{_name(path)}:{node.lineno}"
        if isinstance(node, ast.Expr):
            assert isinstance(node.value, ast.Constant), f"{_name(path)}:{node.lineno}"
