"""Small wrongs that a person might write: each mutant of a module has one of them.

Only what is done is mutated. Sentences are not: a test that pins each of them would be in
the way of whoever betters one. Nor are tables of names, which have a corpus of their own.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice

_COMPARED = {
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
_COMPUTED = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.BitOr: ast.BitAnd, ast.BitAnd: ast.BitOr}
_DONE = (ast.Expr, ast.AugAssign, ast.Delete, ast.Raise, ast.Continue, ast.Break)
"""Statements that a function can do without and still run."""


_LONGEST = 160
"""Characters of a text that are shown."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """A module with one thing wrong."""

    line: int
    where: str
    """Qualified name of the function, or of the constant."""
    what: str
    """Both texts, before and after: with ``where``, what it is called."""
    tree: ast.Module
    constant: bool
    """It is what a module-level name stands for that is wrong, and no function."""


def mutants(source: str) -> Iterator[Mutant]:
    """Every mutant of a module."""
    for number, (where, untouched, constant) in enumerate(_places(ast.parse(source))):
        for choice in range(len(_changes(untouched))):
            tree = ast.parse(source)
            node = next(islice(_places(tree), number, None))[1]
            changed = _changes(node)[choice]()
            if changed is not node:
                _replace(tree, node, changed)
            ast.fix_missing_locations(tree)
            what = f"{_text(untouched)} -> {_text(changed)}"
            yield Mutant(getattr(untouched, "lineno", 0), where, what, tree, constant)


def _text(node: ast.AST) -> str:
    text = " ".join(ast.unparse(node).split())
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def _places(tree: ast.Module) -> Iterator[tuple[str, ast.AST, bool]]:
    """What may be mutated: all that runs in functions, and what module-level names stand for."""
    for node in tree.body:
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            for part in _runs(node.value):
                yield ast.unparse(target), part, True
        else:
            for where, part in _in_functions(node, ""):
                yield where, part, False


def _in_functions(node: ast.AST, outer: str) -> Iterator[tuple[str, ast.AST]]:
    if isinstance(node, ast.ClassDef):
        for child in node.body:
            yield from _in_functions(child, f"{outer}{node.name}.")
    elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        name = f"{outer}{node.name}"
        for part in (*node.args.defaults, *(d for d in node.args.kw_defaults if d is not None), *node.body):
            for inner in _runs(part):
                yield name, inner


def _runs(node: ast.AST) -> Iterator[ast.AST]:
    """A node and all in it that runs: no annotations, no docstrings."""
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return
    yield node
    for field, value in ast.iter_fields(node):
        if field in {"annotation", "returns", "pattern", "format_spec"} or isinstance(node, ast.JoinedStr):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield from _runs(child)


def _replace(tree: ast.Module, old: ast.AST, new: ast.AST) -> None:
    for parent in ast.walk(tree):
        for field, value in ast.iter_fields(parent):
            if value is old:
                setattr(parent, field, new)
            elif isinstance(value, list) and any(item is old for item in value):
                setattr(parent, field, [new if item is old else item for item in value])


def _changes(node: ast.AST) -> list[Callable[[], ast.AST]]:  # noqa: C901, PLR0912 - a table of what may be wrong with each kind of node
    match node:
        case ast.Compare(ops=[op]):
            return [lambda to=to: _with(node, ops=[to()]) for to in _COMPARED.get(type(op), ())]
        case ast.BoolOp(op=op, values=values):
            other = ast.Or() if isinstance(op, ast.And) else ast.And()
            fewer = [values[:n] + values[n + 1 :] for n in range(len(values))]
            left = [lambda rest=rest: rest[0] if len(rest) == 1 else _with(node, values=rest) for rest in fewer]
            return [lambda: _with(node, op=other), *left]
        case ast.UnaryOp(op=ast.Not() | ast.USub(), operand=operand):
            return [lambda: operand]
        case ast.BinOp(op=op) if type(op) in _COMPUTED:
            return [lambda: _with(node, op=_COMPUTED[type(op)]())]
        case ast.If(test=test, orelse=[]):
            return [lambda: _with(node, test=_not(test)), ast.Pass]
        case ast.If(test=test) | ast.While(test=test) | ast.IfExp(test=test):
            return [lambda: _with(node, test=_not(test))]
        case ast.comprehension(ifs=[_, *_] as ifs):
            return [lambda n=n: _with(node, ifs=ifs[:n] + ifs[n + 1 :]) for n in range(len(ifs))]
        case ast.Constant(value=bool() as value):
            return [lambda: ast.Constant(not value)]
        case ast.Constant(value=int() | float() as value):
            return [lambda: ast.Constant(value + 1)]
        case ast.Return(value=ast.expr() as value) if not isinstance(value, ast.Constant):
            return [lambda: _with(node, value=ast.Constant(None))]
        case ast.Set(elts=elts) if len(elts) > 1:
            return [lambda n=n: _with(node, elts=elts[:n] + elts[n + 1 :]) for n in range(len(elts))]
        case ast.Assign(targets=[ast.Attribute() | ast.Subscript()]):
            return [ast.Pass]
        case _ if isinstance(node, _DONE):
            return [ast.Pass]
    return []


def _not(test: ast.expr) -> ast.expr:
    return ast.UnaryOp(ast.Not(), test)


def _with(node: ast.AST, **fields: object) -> ast.AST:
    """The node with some fields changed, in place: its children stay where they are."""
    for field, value in fields.items():
        setattr(node, field, value)
    return node
