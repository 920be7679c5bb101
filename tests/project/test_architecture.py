"""Import directions, and what no file may contain. Reads the source; imports nothing."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
LIBRARY = ("latentsync", "GFPGAN", "CodeFormer")

BELOW = (
    "types errors places geometry curves tone frame_times plugins settings weights runtime models "
    "media speech face restoration generate"
)
"""The packages below the pipeline."""
MAY_IMPORT = {  # package -> others of the project; scripts, benchmarks and tests may import all
    "types": "",
    "errors": "",
    "places": "",
    "frame_times": "",
    "geometry": "types errors",
    "curves": "",
    "tone": "types curves geometry",
    "settings": "errors places",
    "plugins": "errors",
    "weights": "types errors places",
    "runtime": "types errors places weights.record",
    "media": "types errors curves",
    "speech": "types errors runtime",
    "models": "types errors",
    "face": "types errors geometry tone frame_times plugins weights runtime",
    "restoration": "types errors geometry frame_times plugins weights runtime",
    "generate": "types errors geometry plugins weights runtime models",
    "GFPGAN": "types errors weights runtime restoration.base",
    "CodeFormer": "types errors weights runtime restoration.base",
    "pipeline": f"{BELOW} __version__",
    "estimate": f"{BELOW} pipeline",
    "evaluate": f"{BELOW} pipeline __version__",
    "jobs": f"{BELOW} pipeline evaluate",
    "training": f"{BELOW} pipeline estimate evaluate jobs __version__",
    "server": f"{BELOW} pipeline estimate evaluate jobs __version__",
    "client": "",
    "comfy": f"{BELOW} pipeline evaluate",
    "api": f"{BELOW} pipeline evaluate",
    "commands": f"{BELOW} pipeline estimate evaluate jobs training server __version__",
}
MAY_ANNOTATE_WITH = dict.fromkeys(
    ("restoration", "runtime", "generate", "GFPGAN", "CodeFormer"), "settings"
)
"""In addition, under TYPE_CHECKING."""

FORBIDDEN = {"torchvision", "basicsr", "gfpgan", "facexlib", "spandrel", "decord", "mediapipe"}
"""Packages that cannot be installed, or break others, on a current machine."""
FORBIDDEN_IN = {
    "types": "av cv2 omegaconf",
    "geometry": "av omegaconf yaml tqdm argparse",
    "tone": "av omegaconf yaml tqdm argparse",
    "errors": "av cv2 omegaconf torch",
    "curves": "av cv2 omegaconf torch",
    "places": "av cv2 omegaconf torch numpy",
    "frame_times": "av cv2 omegaconf torch",
    "media": "torch omegaconf",
    **dict.fromkeys(
        ("pipeline", "estimate", "evaluate", "training", "api", "comfy"),
        "argparse omegaconf yaml ray tqdm",
    ),
    "jobs": "argparse omegaconf tqdm",
    **dict.fromkeys(("speech", "face", "models"), "av omegaconf yaml tqdm argparse"),
    **dict.fromkeys(("generate", "restoration", "GFPGAN", "CodeFormer"), "av omegaconf yaml tqdm"),
}


SWITCHES = ("shell", "weights_only")
"""Arguments of calls on which it depends whether they are allowed."""


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"), str(path))


def files(*folders: str) -> Iterator[tuple[str, ast.Module]]:
    """Dotted module name and syntax tree of every Python file in the folders."""
    for path in (path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        yield name, parsed(path)


def everything() -> Iterator[tuple[str, ast.Module]]:
    yield from files(*LIBRARY, "scripts", "benchmarks", "tests")
    yield from ((path.stem, parsed(path)) for path in ROOT.glob("*.py"))


def package_of(module: str) -> str:
    return module.removeprefix("latentsync.").split(".")[0]


def imports(tree: ast.AST, annotation: bool = False) -> Iterator[tuple[str, bool]]:
    """Every imported name with its module, and whether only annotations need it."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.expr):  # most of a tree, and no place for a statement
            continue
        if isinstance(node, ast.Import):
            yield from ((alias.name, annotation) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = "." * node.level + (node.module or "")
            yield from ((f"{start}.{alias.name}", annotation) for alias in node.names)
        guard = isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")
        yield from imports(node, annotation or guard)


def wrong_imports(module: str, tree: ast.AST) -> list[str]:
    package = package_of(module)
    return [
        f"{module}: {n}" for n, annotation in imports(tree) if not allowed(package, n, annotation)
    ]


def allowed(package: str, name: str, annotation: bool) -> bool:
    top = name.split(".")[0]
    if top in FORBIDDEN or top in FORBIDDEN_IN.get(package, "").split() or name.startswith("."):
        return False
    if top not in LIBRARY or package not in MAY_IMPORT:
        return True
    packages = [package, *MAY_IMPORT[package].split()]
    packages += MAY_ANNOTATE_WITH.get(package, "").split() if annotation else []
    return any(f"{name}.".removeprefix("latentsync.").startswith(f"{r}.") for r in packages)


def offences(tree: ast.AST, *, prints: bool = False) -> list[str]:
    """Returns forbidden names and calls; prints: print() is allowed."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and is_named(node, "sys.path"):
            found.append("sys.path")
        if isinstance(node, ast.Call) and is_offence(node, prints):
            found.append(ast.unparse(node.func))
    return found


def is_offence(call: ast.Call, prints: bool) -> bool:
    given = {one.arg: ast.unparse(one.value) for one in call.keywords if one.arg in SWITCHES}
    return (
        given.get("shell", "False") != "False"
        or (is_named(call.func, "torch.load") and given.get("weights_only") != "True")
        or (is_named(call.func, "print") and not prints)
    )


def is_named(node: ast.expr, name: str) -> bool:
    """Most nodes are told apart by their last word, which is fast."""
    last = node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", None)
    return last == name.split(".")[-1] and ast.unparse(node) == name


def test_imports_go_one_way() -> None:
    assert [line for name, tree in everything() for line in wrong_imports(name, tree)] == []


def test_every_package_of_the_library_is_in_the_table() -> None:
    packages = {package_of(name) for name, _ in files(*LIBRARY)}
    assert packages - {"latentsync"} <= set(MAY_IMPORT)


def test_nothing_edits_paths_opens_a_shell_or_unpickles_code() -> None:
    found = {name: offences(tree, prints=True) for name, tree in everything()}
    assert {name: what for name, what in found.items() if what} == {}


def test_the_library_does_not_print() -> None:
    found = [name for name, tree in files(*LIBRARY) if "print" in offences(tree)]
    assert [name for name in found if package_of(name) != "commands"] == []


def test_no_package_imports_the_commands() -> None:
    assert [package for package, others in MAY_IMPORT.items() if "commands" in others.split()] == []


def test_a_wrong_import_is_noticed() -> None:
    for module, line in (
        ("latentsync.media.reader", "import torch"),
        ("latentsync.media.reader", "def f():\n    from latentsync.face import align"),
        ("latentsync.restoration.gate", "from latentsync.settings import load"),
        ("GFPGAN.network", "from latentsync.restoration.detail import Detail"),
        ("latentsync.face.align", "from .masks import region_mask"),
        ("latentsync.pipeline.session", "from latentsync.commands.console import run"),
        ("scripts.inference", "import torchvision.ops"),
    ):
        assert wrong_imports(module, ast.parse(line)), line
    guarded = ast.parse("if TYPE_CHECKING:\n    from latentsync.settings.load import RestoreConfig")
    assert wrong_imports("GFPGAN.restorer", guarded) == []


def test_an_offence_is_noticed() -> None:
    for line in ("run(x, shell=True)", "torch.load(p)", "sys.path.insert(0, 'x')", "print(1)"):
        assert offences(ast.parse(line)), line
