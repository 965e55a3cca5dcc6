"""Parameters of a notebook: the annotated literals of its tagged cell, and the values they are given.

papermill injects whatever it is given: a misspelt name is only a warning, and `2e-5` in YAML arrives as text.
So values are checked twice: `resolve` before any kernel starts, `settle` inside the notebook.
"""

import ast
import difflib
import io
import json
import math
import tokenize
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import GenericAlias
from typing import Any, get_args, get_origin

import yaml

ALLOWED = "int, float, str, bool, list, list[int], list[float], list[str] or list[bool]"
SCALARS = {"int": int, "float": float, "str": str, "bool": bool}


@dataclass(frozen=True)
class Declared:
    """One line of a parameters cell: its annotation as a type, its default, the comment beside it."""

    type: type | GenericAlias
    default: Any
    comment: str


class UniqueKeys(yaml.SafeLoader):
    """YAML as PyYAML reads it, but a name set twice is an error instead of the last one winning."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        names = [key.value for key, _ in node.value]
        for name in names:
            if names.count(name) > 1:
                raise yaml.constructor.ConstructorError(
                    None, None, f"{name} is set {names.count(name)} times", node.start_mark
                )
        return super().construct_mapping(node, deep)


def settle(names: dict[str, Any]) -> dict[str, Any]:
    """The declared parameters with their final values; TypeError where one is not what was declared."""
    if not names.get("__annotations__"):
        raise TypeError("no parameters are declared; run the cell tagged `parameters` first")
    parameters = {}
    for name, declared in names["__annotations__"].items():
        if reason := misfit(names[name], declared):
            raise TypeError(f"{name} is declared {spelled(declared)}, but it is {names[name]!r}{reason}")
        parameters[name] = cast(names[name], declared)
    return parameters


def resolve(notebook: Path, changes: Path | Mapping[str, Any]) -> dict[str, Any]:
    """All parameters of `notebook`, in its order: the defaults, with `changes` (a YAML file or a mapping).

    ValueError names file, parameter and value where a name is not declared or a value is not of its type.
    """
    source = str(changes) if isinstance(changes, Path) else Path(notebook).stem
    values = read_changes(changes) if isinstance(changes, Path) else changes
    lines = declared(notebook)
    if problems := list(misfits(lines, values, f"{source}: ", Path(notebook).stem)):
        raise ValueError(problems[0])
    return filled(lines, values)


def misfits(
    lines: Mapping[str, Declared], values: Mapping[str, Any], opening: str, notebook: str
) -> Iterator[str]:
    """For each value that is no parameter of `notebook`, or not of its type, a sentence after `opening`."""
    for name, value in values.items():
        if name not in lines:
            near = difflib.get_close_matches(str(name), lines, n=1)
            hint = f"did you mean {near[0]}?" if near else f"it has {', '.join(lines)}"
            yield f"{opening}{name} is no parameter of {notebook}; {hint}"
        elif reason := misfit(value, lines[name].type):
            kind = spelled(lines[name].type)
            yield f"{opening}{name} is declared {kind}, but it is {value!r}{reason}"


def filled(lines: Mapping[str, Declared], values: Mapping[str, Any]) -> dict[str, Any]:
    """All declared parameters in their order: `values`, and the defaults where there is none."""
    return {name: cast(values.get(name, line.default), line.type) for name, line in lines.items()}


def read_changes(path: Path) -> dict[str, Any]:
    """The flat mapping in a YAML file; an empty file or `{}` changes nothing."""
    try:
        values = yaml.load(path.read_text("utf-8"), Loader=UniqueKeys)
    except FileNotFoundError:
        raise ValueError(f"{path} does not exist; write it, or `{{}}` in it to keep every default") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not readable YAML: {' '.join(str(error).split())}") from None
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise ValueError(f"{path} holds a {type(values).__name__}; write one `name: value` per line")
    return values


def declared(notebook: Path) -> dict[str, Declared]:
    """The parameters of a notebook: name -> annotation, default and comment, in the order of the cell."""
    name, source = Path(notebook).name, tagged_cell(Path(notebook))
    comments, lines = comments_by_line(source), {}
    for statement in ast.parse(source).body:
        if not isinstance(statement, ast.AnnAssign) or statement.value is None:
            raise ValueError(
                f"{name}: `{ast.unparse(statement)}` in the tagged cell is no `name: type = literal`"
            )
        parameter = ast.unparse(statement.target)
        rows = range(statement.lineno, statement.end_lineno + 1)
        comment = " ".join(comments[row] for row in rows if row in comments)
        lines[parameter] = declared_line(f"{name}: {parameter}", statement, comment)
    return lines


def declared_line(place: str, statement: ast.AnnAssign, comment: str) -> Declared:
    """One annotated assignment, read without running it; `place` opens the error."""
    kind = as_type(statement.annotation)
    if kind is None:
        raise ValueError(f"{place} is annotated {ast.unparse(statement.annotation)}; allowed are {ALLOWED}")
    try:
        default = ast.literal_eval(statement.value)
    except ValueError:
        raise ValueError(f"{place} = {ast.unparse(statement.value)} is computed; write a literal") from None
    if reason := misfit(default, kind):
        raise ValueError(f"{place} is declared {spelled(kind)}, but its default is {default!r}{reason}")
    return Declared(kind, default, comment)


def tagged_cell(notebook: Path) -> str:
    """The source of the one code cell tagged `parameters`."""
    try:
        cells = json.loads(notebook.read_text("utf-8"))["cells"]
    except FileNotFoundError:
        raise ValueError(f"{notebook} does not exist") from None
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{notebook} is no notebook: {error!r}") from None
    found = [cell for cell in cells if "parameters" in cell.get("metadata", {}).get("tags", [])]
    if len(found) != 1:
        raise ValueError(f"{notebook.name} has {len(found)} cells tagged `parameters`; it needs exactly one")
    return "".join(found[0]["source"])


def comments_by_line(source: str) -> dict[int, str]:
    """Line number -> its comment without the hash."""
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return {token.start[0]: token.string.lstrip("# ") for token in tokens if token.type == tokenize.COMMENT}


def as_type(annotation: ast.expr) -> type | GenericAlias | None:
    """`int`, `float`, `str`, `bool`, `list` or `list[...]` of a scalar; None for anything else."""
    match annotation:
        case ast.Name(id="list"):
            return list
        case ast.Name(id=name):
            return SCALARS.get(name)
        case ast.Subscript(value=ast.Name(id="list"), slice=ast.Name(id=name)) if name in SCALARS:
            return list[SCALARS[name]]
    return None


def misfit(value: Any, kind: type | GenericAlias) -> str:
    """Why `value` is no `kind`, as the end of a sentence; empty where it fits. An int fits a float."""
    base, items = get_origin(kind) or kind, get_args(kind)
    if type(value) not in ((int, float) if base is float else (base,)):
        return f", a {type(value).__name__}" + remedy(value, base)
    if base is float and not math.isfinite(value):
        return ", which is not finite"
    if items:
        return next((f": {item!r}{reason}" for item in value if (reason := misfit(item, items[0]))), "")
    return ""


def remedy(value: Any, base: type) -> str:
    """What to write instead, for the slips that YAML makes easy."""
    if base in (int, float) and isinstance(value, str):
        try:
            number = float(value)
        except ValueError:
            return ""
        plain = repr(number) if "." in repr(number) else repr(number).replace("e", ".0e")
        return f"; YAML reads it as text, write {int(number) if base is int else plain}"
    if base is str and isinstance(value, bool):
        return "; YAML reads on, off, yes and no as booleans, put it in quotes"
    return ""


def cast(value: Any, kind: type | GenericAlias) -> Any:
    """`value` with ints made floats where floats are declared, so that 1 and 1.0 are one setting."""
    if kind is float:
        return float(value)
    if kind == list[float]:
        return [float(item) for item in value]
    return value


def spelled(kind: type | GenericAlias) -> str:
    """A type as the parameters cell writes it."""
    return str(kind) if get_args(kind) else kind.__name__
