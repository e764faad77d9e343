"""The structs of :mod:`schemas.v1` with instants left as text: what the compiled fold decodes into.

Derived, so that fields, order, defaults and constraints cannot differ. Whoever decodes into them
reads every instant itself; text that is none must be sent through :func:`schemas.codec.decode`.
"""

import types
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import msgspec

from schemas import v1


def _text_instead_of_instants(hint: Any, made: dict[Any, Any]) -> Any:
    if hint is v1.Instant:
        return str
    origin = get_origin(hint)
    if origin is None or origin is Annotated:
        return made.get(hint, hint)
    if origin in (types.UnionType, Union):
        return Union[tuple(_text_instead_of_instants(a, made) for a in get_args(hint))]  # noqa: UP007 (built)
    if origin is dict:
        parts = tuple(_text_instead_of_instants(a, made) for a in get_args(hint))
        return types.GenericAlias(dict, parts)
    return hint


def _derived(struct: type[msgspec.Struct], made: dict[Any, Any], **options: Any) -> None:
    hints = get_type_hints(struct, include_extras=True)
    fields: list[Any] = []
    for field in msgspec.structs.fields(struct):
        hint = _text_instead_of_instants(hints[field.name], made)
        required = field.default is msgspec.NODEFAULT
        fields.append((field.name, hint) if required else (field.name, hint, field.default))
    # They hold text and dicts of text: nothing that could refer back to them.
    made[struct] = msgspec.defstruct(struct.__name__, fields, gc=False, **options)


def _all() -> dict[Any, Any]:
    made: dict[Any, Any] = {}
    for struct in (v1.Payment, *get_args(v1.Data)):
        _derived(struct, made)
    for event in get_args(v1.Event):
        tag = event.__struct_config__.tag
        _derived(event, made, kw_only=True, tag_field="type", tag=tag)
    return made


#: Struct of v1 -> its fields that are instants (not those inside of others).
INSTANTS: dict[Any, frozenset[str]] = {
    struct: frozenset(
        f.name for f in msgspec.structs.fields(struct) if f.type in (v1.Instant, v1.Instant | None)
    )
    for struct in (v1.Payment, *get_args(v1.Data))
}
#: Struct of v1 -> its twin with text.
TWINS: dict[Any, Any] = _all()
Decoder: Any = msgspec.json.Decoder(Union[tuple(TWINS[e] for e in get_args(v1.Event))])  # noqa: UP007 (built)
