"""What a mapping file says, as values. `mappings/load.py` makes them, `inbound.py` and `outbound.py` compile them.

    mappings/<system>/<name>.yaml            the mapping `<system>/<name>`; several may read one stream
    mappings/<system>/<name>_test.yaml       more examples of that mapping: a list, each as under `examples:`
    mappings/<system>/values.yaml            value maps of the system
    mappings/values.yaml                     value maps of all systems, looked up after the system's own
    mappings/<system>/functions.yaml         functions of the system's own, mappings/functions.yaml those of all (`named.py`)
    mappings/<system>/<stream>.sample.json   a record (or a list of them): what the stream really holds, for lint

A file, all of it (only `stream` and `entity` are always needed; `key` and `fields` where it is read):

    extends: cart/orders          # take everything from that one (from the same name: the built-in one behind this file)
    stream: orders                # of the system whose folder this is
    entity: sales_order
    each: refunds                 # optional: one record becomes several rows; paths then mean the item, `record.x` the record
    key: id                       # expression → the system's id of the row, as text; references from elsewhere quote it
    version: updated_at           # optional: orders versions of a row; default: the stream's own version field if trusted
    hub: external_id              # optional: where the record quotes the hub's own id, which then says whose it is
    loose: [default_address]      # optional: fields that are sometimes no object (PHP writes [] for an empty one): then missing
    when: number is not null      # optional: rows for which this is not true are counted as `excluded`
    types: {total_price: money gross in currency, status: picklist order_status}   # optional: what fields mean (mappings/meaning.py)
    fields:
      number: number                                         # a path, or a scalar expression (mappings/functions.py)
      customer: {ref: customer, at: customer.id}             # the id by which this system knows the other record
      payment_status: {at: financial_status, values: payment_status, unmapped: quarantine}   # or default, pass
      currency: {at: currency, default: EUR, required: true} # `default` is a plain value for what is missing
      tax_id: {at: vat_id, when: kind = 'firm', required: true}  # applies only where this is true; else the column stays empty
      tier: {lookup: groups, key: group_id, by: id, at: code, values: tier, missing: quarantine}  # of the newest record of another
                                                             # stream whose `by` is this record's `key`; or default, pass (the key)
      brand: {lookup: canonical.product, key: sku, by: sku, at: brand}    # of the hub's own row, as it was published last
      deleted_at: {at: updated_at, when: removed = 'true'}   # of every entity: since when it is deleted in this system;
                                # a deleted record needs no required field, and without one it is only said to be gone
      note: ~                                                # with `extends`: leave the inherited field out
    children:
      order_line: {each: line_items, key: id, when: quantity <> '0', fields: {sku: sku, line_number: ordinal()}}
                                # with `required: true` a record without the list is rejected; an empty one says there are none
      allowance_charge:                                      # a list where several parts of the record make one child
        - {each: shipping_lines, key: "'shipping-' || id", fields: {...}}
        - {key: "'discount'", when: number(discount) > 0, fields: {...}}      # without `each`: one row of the record itself
      order_line: {stream: order_items, parent: order_id, key: id, fields: {...}}  # the newest records of another stream whose
                                # `parent` is this row's key. Of the mapping's own stream: several records are one row with its
                                # children (a flat export), and the row itself is read from the newest of them
    push:                         # one, or a list of them
      operation: create           # create | change | cancel | fulfil | upsert | archive; mirror: upsert, and archive what
                                  # another system once brought and `when` does not want any more
      stream: orders              # default: the mapping's stream
      entity: sales_order         # default: the mapping's entity
      key: number                 # our own business key; default: the entity's first match column, else hub_id
      when: payment_status = 'paid' and target.number is null
      since: ordered_at           # the column that is compared with the system's go-live
      hold: [{when: total > 10000, reason: over the limit}]
      match: find                 # ask the target for our key before a record is made there; default: bound, what was pulled
      null: clear                 # what no other system has is emptied there; default: keep. Also of one field
      archive: [{reason: {at: reason, value: "'gone'"}}]     # of mirror: what the call that archives says; default: nothing
      fields:
        - number                                             # bare: the inbound field's path and value map, backwards
        - email: {at: contact.email}                         # the column, at this (nested) place of the payload
        - customer: {at: sold_to, ref: customer}             # the target's id of the other record
        - tier: {at: group, values: customer_tier}           # the value map backwards
        - note: {at: text.note, value: "'hub ' || hub_id"}   # an expression; the name is then only a label
      children:
        order_line: {each: items, when: quantity > 0, fields: [{sku: {at: material}}]}
    examples:
      - {name: ..., given: {...}, expect: {number: "1001", order_line: [{sku: A}]}}
      - {name: ..., given: {...}, rejects: {field: order_line.quantity, rule: cast}}
      - {name: ..., given: {...}, excluded: true}
      - {name: ..., given: {...}, known: {groups: [{id: 3, code: vip}]}, expect: {...}}  # records that are looked up; of a flat
                                                                                # export `given` is a list of records
      - {name: ..., push: create, given: {canonical columns}, expect: {payload}}   # `given`: see mappings/trial.py

Value maps (`values.yaml`): the system's value on the left. Two that mean the same need `out:` before a push can use them.

    customer_tier: {retail: standard, business: silver, vip: gold}
    product_status: {"": active, X: discontinued}            # the key "" stands for a missing value
    order_status: {in: {open: open, new: open}, out: {open: open}}

Rules of reading
* null, an absent field and an empty text are the same: a missing value. Indexes count from 0, `ordinal()` from 1.
* `addresses[type = 'billing'].city` is of the first item for which the condition is true. A name that is no plain word is quoted:
  `"E-Mail"`. Within `each`, `record.x` is of the whole record and `parent.x` of what holds the list; `"record".x` is a field.
* Raw values are text, and are read as what they meet: the column's type, a number in `quantity > 5`. What cannot be read rejects the
  record, with field, rule and raw value; a child that cannot be read rejects its whole record.
* Money keeps 4 decimals, quantities and rates 6; more are rejected (beyond the 12th they are the noise of floating point).
* An instant needs its offset from UTC, or `instant(x, 'Europe/Berlin')`. A day is YYYY-MM-DD, or `parse_date(x, 'DD.MM.YYYY')`.
* `crossdock explain M121` lists the functions, `crossdock compile cart/orders` shows the SQL.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping as Map
from dataclasses import dataclass, field
from typing import Any, Literal

from hub.connector import Operation
from hub.entity import DELETED
from hub.errors import Place
from mappings.meaning import Meaning
from mappings.tree import Type

Match = Literal["bound", "find"]  # how it is known that a target has a record: as pulled, or by asking it
Policy = Literal["quarantine", "default", "pass"]  # what becomes of a value that a value map or a lookup does not know


@dataclass(frozen=True, slots=True)
class Expr:
    """An expression as it was written, and where. `place` is that of its first character, `functions` the project's own that it
    may call.
    """

    text: str
    place: Place
    functions: Map[str, Named] = field(default_factory=dict, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class NamedExample:
    """What a function makes of values: `expect`, or it `fails`."""

    given: tuple[Any, ...]
    expect: Any
    fails: bool
    place: Place


@dataclass(frozen=True, slots=True)
class Named:
    """A function of the project's own (`named.py`). `arguments` are (name, type or None, meaning or None); `system` is empty
    where it is for all; `size` counts the parts of its expression with those of all that it calls; a `broken` one was told of,
    and is not compiled.
    """

    name: str
    place: Place
    arguments: tuple[tuple[str, Type | None, Meaning | None], ...]
    body: Expr
    doc: str = ""
    examples: tuple[NamedExample, ...] = ()
    system: str = ""
    size: int = 0
    broken: bool = False

    @property
    def signature(self) -> str:
        shown = [f"{name}: {meaning or kind}" if kind else name for name, kind, meaning in self.arguments]
        return f"{self.name}({', '.join(shown)})"


@dataclass(frozen=True, slots=True)
class ValueMap:
    """How a picklist of a system corresponds to the canonical one.

    `inward` system → canonical, `outward` canonical → system (the inverse of `inward` unless `out:` is written; then of
    what `out:` says). `ambiguous` lists canonical values that several system values mean, with no `out:` to choose.
    The key "" of `inward` is what a missing value means; it has no inverse unless `out:` gives one.
    """

    name: str
    place: Place
    inward: Map[str, str]
    outward: Map[str, str]
    ambiguous: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Declared:
    """What a field of the stream means in trade. `path` has names only, lists without indexes: `line_items.price`."""

    path: str
    meaning: Meaning
    place: Place


@dataclass(frozen=True, slots=True)
class Join:
    """The other record that a value is taken from: the newest of `of` (a stream of the system, or `canonical.<entity>`)
    whose `by` is what `key` is here. `missing` says what becomes of a key that none has.
    """

    of: str
    place: Place
    key: Expr
    by: Expr
    missing: Policy = "quarantine"

    def shown(self, at: Expr) -> str:
        """`groups[id = group_id].code`"""
        return f"{self.of}[{self.by.text} = {self.key.text}].{at.text}"


@dataclass(frozen=True, slots=True)
class Field:
    """A canonical column and how it is read. `ref` names the entity that `at`'s value is an id of.

    With `lookup` the expression `at` is about the other record. Where `when` is not true the column is empty.
    """

    name: str
    place: Place
    at: Expr
    ref: str | None = None
    values: ValueMap | None = None
    unmapped: Policy = "quarantine"
    default: str | None = None
    required: bool = False
    lookup: Join | None = None
    when: Expr | None = None

    @property
    def source(self) -> str:
        """Where the value comes from, for people."""
        said = self.lookup.shown(self.at) if self.lookup else self.at.text
        return f"{said} when {self.when.text}" if self.when else said


@dataclass(frozen=True, slots=True)
class Child:
    """Rows of a child entity: one for each item of `each`, for each record of `stream` whose `parent` is the row's key,
    or one of the record itself where both are None. `required`: a record in which the list of `each` is not there is rejected.
    """

    entity: str
    place: Place
    key: Expr
    fields: tuple[Field, ...]
    each: Expr | None = None
    when: Expr | None = None
    stream: str | None = None
    parent: Expr | None = None
    required: bool = False


@dataclass(frozen=True, slots=True)
class PushField:
    """A value of the payload. `at` is its dotted place there; None: that of the inbound field `name`, read backwards.

    `value` None means the canonical column `name`. `bare` is True where only a name was written: path, value map and
    ref then come from the inbound field, which has to be invertible (a path, no expression). `clear`: where it is missing in
    every other system, the target's is emptied.
    """

    name: str
    place: Place
    at: Expr | None = None
    value: Expr | None = None
    values: ValueMap | None = None
    ref: str | None = None
    bare: bool = False
    clear: bool = False


@dataclass(frozen=True, slots=True)
class PushChild:
    """A list in the payload at `each`: one element a canonical child row for which `when` holds, in the order of hub_id."""

    entity: str
    place: Place
    each: Expr
    fields: tuple[PushField, ...]
    when: Expr | None = None


@dataclass(frozen=True, slots=True)
class Hold:
    """While `when` is true the record waits for a person, who is told `reason`."""

    when: Expr
    reason: str
    place: Place


@dataclass(frozen=True, slots=True)
class Push:
    """One kind of call: which records, which key, which payload. Expressions are over canonical columns.

    `match` find: the target is asked for the key before a record is made there. `gone`: it is about the records that `when`
    does not want any more, and only those that another system brought.
    """

    operation: Operation
    place: Place
    stream: str
    entity: str
    fields: tuple[PushField, ...]
    key: Expr | None = None
    when: Expr | None = None
    since: Expr | None = None
    hold: tuple[Hold, ...] = ()
    children: tuple[PushChild, ...] = ()
    match: Match = "bound"
    gone: bool = False


@dataclass(frozen=True, slots=True)
class Rejection:
    """What an example expects to be refused: the field (`quantity`, `order_line.quantity`, `key`), and by which rule."""

    field: str
    rule: str | None = None
    place: Place | None = dataclasses.field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Example:
    """A record and what it becomes: rows in `expect` (several where the mapping has `each`), or `rejects`, or `excluded`.

    In `expect` a child entity's name holds the list of its rows; a reference holds the system's own id. Only columns that
    are written are compared. With `push` the direction is out: `given` are canonical columns and `expect` the payload.
    `known` are the records of other streams, and canonical rows, that the example looks up. `places` say for each row of
    `expect` where each value stands: `total`, `order_line[0].sku`.
    """

    name: str
    place: Place
    given: Any
    expect: tuple[Map[str, Any], ...] | None = None
    rejects: tuple[Rejection, ...] = ()
    excluded: bool = False
    push: str | None = None
    places: tuple[Map[str, Place], ...] = field(default=(), compare=False, repr=False)
    known: Map[str, Any] = field(default_factory=dict)

    def at(self, row: int, name: str) -> Place:
        """Where a value of an expected row is said; the example's own place where it is not."""
        return self.places[row].get(name, self.place) if row < len(self.places) else self.place


@dataclass(frozen=True, slots=True)
class Mapping:
    """A mapping file. `name` is `<system>/<file's stem>`; `ordinal` its position among the system's mappings.

    `key` is None and `fields` empty where the file only pushes. `sample` is the shape of the stream's records where a
    sample file lies beside the mapping (see `mappings/shapes.py`), `samples` those of the streams that it looks into.
    `tried` is set where examples run: what an example looks up is then seen by that example only.
    `functions` are the project's own that its expressions may call.
    """

    name: str
    system: str
    place: Place
    stream: str
    entity: str
    key: Expr | None = None
    fields: tuple[Field, ...] = ()
    children: tuple[Child, ...] = ()
    push: tuple[Push, ...] = ()
    examples: tuple[Example, ...] = ()
    each: Expr | None = None
    version: Expr | None = None
    when: Expr | None = None
    hub: Expr | None = None
    loose: tuple[str, ...] = ()
    types: tuple[Declared, ...] = ()
    extends: str | None = None
    ordinal: int = 0
    functions: Map[str, Named] = field(default_factory=dict, compare=False, repr=False)
    sample: Any = field(default=None, repr=False)
    samples: Map[str, Any] = field(default_factory=dict, repr=False)
    tried: bool = False

    @property
    def flat(self) -> bool:
        """Are several records of the stream one row, with children?"""
        return any(child.stream == self.stream for child in self.children)

    @property
    def lists_deletes(self) -> bool:
        """Does it read nothing of its records but since when each is deleted?"""
        return [one.name for one in self.fields] == [DELETED.name]

    def others(self) -> dict[str, Place]:
        """The other streams and canonical entities that are looked into, each with the place that names it first."""
        fields = [*self.fields, *(one for child in self.children for one in child.fields)]
        named = [(one.lookup.of, one.lookup.place) for one in fields if one.lookup]
        named += [(child.stream, child.place) for child in self.children if child.stream]
        first: dict[str, Place] = {}
        for of, place in named:
            first.setdefault(of, place)
        return first

    def field(self, name: str) -> Field | None:
        """The inbound field of a canonical column, or None."""
        return next((one for one in self.fields if one.name == name), None)

    def child(self, entity: str) -> Child | None:
        """The first inbound child of an entity, or None."""
        return next((one for one in self.children if one.entity == entity), None)
