"""The house holds: floors as in docs/architecture.md, read off every import statement."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MODULES = sorted([*(ROOT / "vaslab").rglob("*.py"), *(ROOT / "trainers").rglob("*.py")])

FLOORS = (
    "errors",
    "attention",
    "prompts",
    "organism",
    "models",
    "capture",
    "metrics",
    "interventions",
    "statistics",
    "benchmarks",
    "studies",
    "plots",
    "explorer",
    "cli",
)
"""Ground first. A floor may import from every one below, or from less:"""
LESS = {
    "prompts": {"errors"},
    "organism": {"errors", "prompts.processor"},
    "metrics": {"errors", "prompts.roles"},
    "statistics": {"errors"},
    "benchmarks": {"errors", "prompts", "organism"},
    "plots": {"errors", "prompts.roles", "metrics", "statistics"},
    "explorer": {*FLOORS[: FLOORS.index("plots")], "plots.compare_numbers", "plots.head_grid"},
}
ALLOWED = {floor: LESS.get(floor, set(FLOORS[:number])) for number, floor in enumerate(FLOORS)}
ONLY_IN = {
    "nnsight": "capture",
    "plotly": "plots",
    "typer": "cli",
    "rich": "cli",
    "zarr": "capture",
    "anywidget": "explorer",
    "traitlets": "explorer",
}
LONGEST = 400


def imports(path):
    """Dotted names that a module imports, wherever in it they stand, and the line of each."""
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found += [(alias.name, node.lineno) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import"
            found += [(f"{node.module}.{alias.name}", node.lineno) for alias in node.names]
    return found


def floor_of(path):
    parts = path.relative_to(ROOT / "vaslab").parts
    return Path(parts[0]).stem


def inside(path):
    return path.is_relative_to(ROOT / "vaslab") and path != ROOT / "vaslab" / "__init__.py"


def name_of(path):
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", [path for path in MODULES if inside(path)], ids=name_of)
def test_a_module_imports_from_its_own_floor_and_those_below(path):
    floor = floor_of(path)
    for name, line in imports(path):
        package, _, rest = name.partition(".")
        assert package != "trainers", f"{path}:{line}: vaslab imports trainers"
        if package != "vaslab" or rest.partition(".")[0] == floor or rest in ("", "__version__"):
            continue
        allowed = any(rest == each or rest.startswith(f"{each}.") for each in ALLOWED[floor])
        assert allowed, f"{path}:{line}: {floor} imports vaslab.{rest}"


def test_every_floor_is_known_and_allowed_no_other_than_those_below():
    assert {floor_of(path) for path in MODULES if inside(path)} == set(FLOORS)
    for number, floor in enumerate(FLOORS):
        assert {each.split(".")[0] for each in ALLOWED[floor]} <= set(FLOORS[:number])


def test_no_modules_form_a_circle():
    """Also within a floor; imports inside functions are left out, for they run after loading."""
    graph = {}
    for path in MODULES:
        tree = ast.parse(path.read_text())
        late = {
            node
            for function in ast.walk(tree)
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
            or (isinstance(function, ast.If) and ast.unparse(function.test) == "TYPE_CHECKING")
            for node in ast.walk(function)
        }
        needed = set()
        for node in ast.walk(tree):
            if node in late:
                continue
            if isinstance(node, ast.Import):
                needed |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                needed |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        graph[".".join(path.relative_to(ROOT).with_suffix("").parts)] = needed
    # a package's __init__ gathers what its modules offer; it is not one of them
    graph = {name: needed & set(graph) for name, needed in graph.items() if not name.endswith("__init__")}
    done = set()
    while len(done) < len(graph):
        free = {name for name, needed in graph.items() if name not in done and needed - {name} <= done}
        assert free, f"a circle among {sorted(set(graph) - done)}"
        done |= free


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_outer_libraries_touch_one_floor(path):
    for name, line in imports(path):
        package = name.partition(".")[0]
        if package in ONLY_IN and path.is_relative_to(ROOT / "vaslab"):
            assert floor_of(path) == ONLY_IN[package], f"{path}:{line}: {package} outside {ONLY_IN[package]}"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_module_is_short_and_catches_nothing_broad(path):
    text = path.read_text()
    assert len(text.splitlines()) <= LONGEST
    assert path.stem not in ("utils", "helpers", "common", "misc", "manager")
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ExceptHandler):
            caught = "" if node.type is None else ast.unparse(node.type)
            assert caught not in ("", "Exception", "BaseException"), f"{path}:{node.lineno}: broad except"


def loaded_by(statement, *names):
    """Which of `names` a fresh process has loaded after a statement."""
    program = f"import sys; {statement}; print([name for name in {names!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return ast.literal_eval(done.stdout.splitlines()[-1])


def test_importing_vaslab_is_light():
    assert loaded_by("import vaslab", "torch", "transformers", "numpy", "PIL", "nnsight") == []


def test_the_command_line_starts_without_torch():
    statement = "import vaslab.cli.app, trainers.cli"
    assert loaded_by(statement, "torch", "transformers", "nnsight", "plotly", "xarray") == []


def test_figures_and_metrics_need_no_torch():
    statement = "import vaslab.plots, vaslab.metrics, vaslab.statistics"
    assert loaded_by(statement, "torch", "nnsight", "kaleido") == []


FRESH = """
import os, socket, sys
from transformers import AutoModelForImageTextToText, AutoProcessor

def refuse(*_, **__):
    raise OSError("network")

socket.socket.connect = refuse
codes = []
for statement in sys.argv[1:]:
    if os.fork() == 0:
        exec(statement)
        os._exit(0)
    codes.append(os.waitstatus_to_exitcode(os.wait()[1]))
print(codes)
"""
STATEMENTS = {
    "public names load": "import vaslab; [getattr(vaslab, name) for name in vaslab.__all__]",
    "commands load, then public names in another order": "import vaslab.cli.app, trainers.cli, vaslab.studies.measure, "
    "vaslab.plots; [getattr(vaslab, name) for name in reversed(vaslab.__all__)]",
    "nothing is registered": "import vaslab.attention, transformers as t; assert 'vaslab' not in "
    "{*t.AttentionInterface._global_mapping, *t.AttentionMaskInterface._global_mapping}",
}


@pytest.fixture(scope="module")
def fresh():
    """How each statement ends in a process that has torch and transformers alone, and no network."""
    done = subprocess.run(
        [sys.executable, "-c", FRESH, *STATEMENTS.values()], capture_output=True, text=True, check=True
    )
    codes = ast.literal_eval(done.stdout.splitlines()[-1])
    return dict(zip(STATEMENTS, codes, strict=True)), done.stderr


@pytest.mark.parametrize("name", STATEMENTS)
def test_a_fresh_process(fresh, name):
    codes, told = fresh
    assert codes[name] == 0, told
