"""What a PromQL expression asks for: its metrics, with which labels, and the labels of what comes out."""

from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet

import promql_parser as promql

TARGET = frozenset({"job", "instance"})
"""Labels that Prometheus adds to what it scrapes."""

Exported = Mapping[str, AbstractSet[str]]
"""Labels by the name of their metric."""


class NotExported(AssertionError):  # noqa: N818 - it is one
    """The expression names what no server exports."""


def selectors(expression: str) -> Iterator[promql.VectorSelector]:
    """Every place where an expression names a metric."""
    found: list[promql.VectorSelector] = []

    def visit(node: promql.Expr) -> None:
        if isinstance(node, promql.VectorSelector):
            found.append(node)
        elif isinstance(node, promql.MatrixSelector):
            found.append(node.vector_selector)

    promql.walk(promql.parse(expression), visit)
    return iter({id(each): each for each in found}.values())


def labels_of(node: promql.Expr, exported: Exported) -> frozenset[str]:
    """The labels that a result has. Whatever is named on the way must be there to be named.

    Raises:
        NotExported: A metric that is not exported, or a label that is not there at that point.
    """
    match node:
        case promql.VectorSelector():
            if node.name is None or node.name not in exported:
                raise NotExported(f"{node.name} is not exported")
            labels = TARGET | exported[node.name]
            _must_be_in(labels, [matcher.name for matcher in node.matchers.matchers], node)
        case promql.MatrixSelector():
            labels = labels_of(node.vector_selector, exported)
        case promql.SubqueryExpr() | promql.ParenExpr() | promql.UnaryExpr():
            labels = labels_of(node.expr, exported)
        case promql.AggregateExpr():
            labels = _aggregated(node, labels_of(node.expr, exported))
        case promql.Call():
            taken = [labels_of(argument, exported) for argument in node.args]
            labels = frozenset() if node.func.name in {"absent", "vector"} else frozenset().union(*taken)
            if node.func.name == "histogram_quantile":
                _must_be_in(labels, ["le"], node)
                labels -= {"le"}
        case promql.BinaryExpr():
            labels = _matched(node, labels_of(node.lhs, exported), labels_of(node.rhs, exported))
        case _:
            labels = frozenset()
    return labels


def _aggregated(node: promql.AggregateExpr, labels: frozenset[str]) -> frozenset[str]:
    if node.modifier is None:
        return frozenset()
    _must_be_in(labels, node.modifier.labels, node)
    given = frozenset(node.modifier.labels)
    return given if node.modifier.type == promql.AggModifierType.By else labels - given


def _matched(node: promql.BinaryExpr, left: frozenset[str], right: frozenset[str]) -> frozenset[str]:
    """Both sides must have the labels by which their samples find each other, or nothing ever comes out."""
    numbers = (promql.NumberLiteral, promql.StringLiteral)
    if isinstance(node.lhs, numbers) or isinstance(node.rhs, numbers):
        return left | right
    if node.modifier is None or node.modifier.matching is None:
        if str(node.op) not in {"or", "unless"} and left != right:
            raise NotExported(f"{left ^ right} is on one side alone of {node.op} in {node.prettify()}")
        return left
    for side in (left, right):
        _must_be_in(side, node.modifier.matching.labels, node)
    return left if str(node.op) in {"and", "or", "unless"} else frozenset(node.modifier.matching.labels)


def _must_be_in(labels: frozenset[str], named: list[str], node: promql.Expr) -> None:
    if missing := set(named) - labels:
        raise NotExported(f"{', '.join(sorted(missing))} is no label in {node.prettify()}")
