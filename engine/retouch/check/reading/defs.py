"""Calls of a recipe's own defs: which def is meant, and what its parameters stand for."""

from __future__ import annotations

from retouch.check.reading.names import Closure, Definition, Name, NameScope
from retouch.check.reading.statements import missing
from retouch.check.reading.variants import label
from retouch.lang import syntax as s
from retouch.lang.diagnostics import Report


def definition(call: s.CallSyntax, scope: NameScope, report: Report) -> Definition | None:
    """Return the def that a call names; where there is none, say so."""
    name = call.name.name
    found = scope.get(name)
    if found:
        found.used = True
    if found and found.made:
        return found.made
    # A def does not see itself; who calls it from within is told that, and not that there is no such def.
    own = scope.names.all.get(name)
    if own and own.made and own.made.line.span.start == scope.above:
        report.add("RT216", call.name.span, name=name)
    elif scope.is_below(name):
        scope.find(call.name)
    elif found is None and f"{name.rpartition('.')[0]}.".lstrip(".") in scope.names.lacks:
        pass  # it may stand in the library that could not be read
    elif found is None or found.value or found.flow:
        report.add("RT215", call.name.span, name=name, mend=missing(name, scope.names))
    return None


def bound(call: s.CallSyntax, made: Definition, scope: NameScope, report: Report) -> dict[str, Name] | None:
    """Return the parameters of a def, each with what this call gives it."""
    params = [param.name.name for param in made.line.params]
    given: dict[str, s.Value] = dict(zip(params, call.args, strict=False))
    wrong: list[tuple[str, s.Span]] = []
    if len(call.args) > len(params):
        takes = f"takes {len(params)} value{'' if len(params) == 1 else 's'}, and this is one more"
        wrong.append((takes, call.args[len(params)].span))
    for option in call.named:
        name = option.name.name
        if name not in params:
            wrong.append((f"has no parameter '{name}'", option.name.span))
        elif name in given:
            wrong.append((f"is given '{name}' twice", option.span))
        given[name] = option.value
    absent = [name for name in params if name not in given and name not in made.defaults]
    wrong += [(f"needs '{name}'", call.span) for name in absent[:1]]
    for what, span in wrong[:1]:  # the others may follow from the first
        report.add("RT214", span, name=call.name.name, what=what, mend=_shown(call.name.name, made))
        return None
    spans = {param.name.name: param.name.span for param in made.line.params}
    own = {name: _argument(value, spans[name], scope, report) for name, value in given.items()}
    rest = {name: Name(spans[name], value=made.defaults[name], used=True) for name in params if name not in own}
    return None if None in own.values() else {name: made for name, made in {**own, **rest}.items() if made}


def _argument(value: s.Value, span: s.Span, scope: NameScope, report: Report) -> Name | None:
    """Return the value or the flow that a parameter is given."""
    if isinstance(value, s.Ref):
        found = scope.find(value)
        return found and Name(span, found.value, found.flow, found.made, used=True)
    if isinstance(value, s.CallSyntax):
        got, mend = "a call", "call it inside of the def, or name the flow that it makes"
        report.add("RT207", value.span, name="a parameter", wanted="a value", got=got, mend=mend)
        return None
    written = scope.written(value)
    return written and Name(span, written, used=True)


def unbound(made: Definition, scope: NameScope) -> Closure:
    """Return the body of a def that nobody calls: its parameters may stand for anything."""
    own = {param.name.name: Name(param.name.span, used=True) for param in made.line.params}
    return Closure(made.line.body, NameScope(made.names, made.line.span.start, scope.choices, own))


def _shown(name: str, made: Definition) -> str:
    """Return a call of a def, each parameter with its default."""
    params: list[str] = []
    for param in made.line.params:
        match param.default:
            case None:
                params.append(param.name.name)
            case s.Text(value=text):
                params.append(f'{param.name.name}="{text}"')
            case default:
                params.append(f"{param.name.name}={label(default)}")
    return f"{name}({', '.join(params)})"
