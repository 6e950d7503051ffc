"""What the codes of the mapping language mean: M1xx what lint says of reading, M2xx of pushing, M3xx why a record is
rejected, M4xx what examples say. `crossdock explain CODE` shows it.
"""

from __future__ import annotations

CODES: dict[str, str] = {
    "M101": """A setting holds something of another form: a list where names are wanted, an object where a path is.
What was meant cannot be told, so nothing of it is used.
Example: fields: [number]   Fix: fields: {number: number}""",
    "M102": """A setting that the language does not have. Settings that nobody reads are mistakes that nobody sees.
Example: feilds: {…}   Fix: fields: {…}""",
    "M103": """A setting is missing that the mapping cannot do without: stream, entity, key, fields; at; when and reason.
Example: a child without key:   Fix: key: id   (ordinal() counts the items where nothing else tells them apart)""",
    "M104": """A path names a field that the sample of the stream does not show.
A field that is not there is missing in every record, and the column would stay empty without anybody noticing.
Example: email: emial   Fix: email: email; if the field is new, add it to mappings/<system>/<stream>.sample.json""",
    "M105": """A path treats a list as an object, an object as a plain value, or reads one field in two ways.
Example: sku: line_items.sku   Fix: line_items[0].sku, or a child with each: line_items""",
    "M106": """There is no such entity, or it is a child that travels with its header.
Example: entity: order_line   Fix: entity: sales_order, with children: {order_line: {…}}""",
    "M107": """The entity has no such column.
Example: fields: {mail: email} of customer   Fix: fields: {email: email}""",
    "M108": """The system's connector has no such stream.
Example: stream: order   Fix: stream: orders""",
    "M109": """A reference to another record is written like a plain column, or the other way round.
References hold the id by which this system knows the other record; the hub resolves it, and the row waits until it can.
Example: customer: customer.id   Fix: customer: {ref: customer, at: customer.id}""",
    "M110": """A column that every row of the entity needs is not read, so every record would be rejected.
Example: sales_order without currency   Fix: currency: currency, or currency: "'EUR'" where the system has one only""",
    "M111": """There is no value map of this name in values.yaml of the system, nor in mappings/values.yaml.
Example: values: tiers   Fix: values: customer_tier""",
    "M112": """A value map gives a value that the column cannot hold.
Example: vip: platinum, where tier is standard, silver or gold   Fix: vip: gold""",
    "M114": """A policy for what a value map does not know that makes no sense here.
Example: unmapped: default without default:   Fix: {at: group, values: tier, unmapped: default, default: standard}""",
    "M115": """The entity has no child of this name, or a mapping has too many children.
Example: children: {tax_line: …} of customer   Fix: children: {customer_address: …}""",
    "M116": """The mapping that this one extends is not there, or they extend each other in a circle.
Example: extends: cart/order   Fix: extends: cart/orders""",
    "M117": """A file's or folder's name that cannot be the name of a mapping or a system.
Example: mappings/Shop/Orders.yaml   Fix: mappings/shop/orders.yaml""",
    "M119": """A push names an operation that there is not.
Example: operation: update   Fix: one of create, change, cancel, fulfil, upsert""",
    "M120": """An expression cannot be read. The language has paths, literals, operators, case and a closed list of functions,
and nothing else of SQL: no select, no second statement, no comment.
Example: lower(email   Fix: lower(email)""",
    "M121": """There is no such function, or it has no meaning here. What is not in the closed list cannot be called: files, network,
clocks and chance among it, since the same raw data has to give the same rows.
Example: now()   Fix: a field of the record. The list with examples stands in mappings/functions.py""",
    "M122": """A function is called with too few or too many values.
Example: split_part(name, ' ')   Fix: split_part(name, ' ', 1)""",
    "M123": """An argument that has to be written out is computed, or is not what the function takes: a zone, a pattern, a width.
Example: instant(created, zone)   Fix: instant(created, 'Europe/Berlin')""",
    "M124": """Types that do not go together, or an expression whose type is not the column's.
Raw values are text and are read as what they meet, but a day is no instant and yes is no number.
Example: ordered_at: parse_date(day, 'DD.MM.YYYY')   Fix: local_instant(parse_date(day, 'DD.MM.YYYY'), '00:00', 'Europe/Berlin')""",
    "M125": """A comparison with an empty text. An empty text is a missing value here, and nothing equals a missing value.
Example: when: note <> ''   Fix: when: note is not null""",
    "M126": """Two mappings read one field of a stream in different ways, so it cannot be declared.
Example: one reads customer, another customer.id   Fix: read customer.id in both""",
    "M127": """A constant of the mapping that the column cannot hold.
Example: kind: "'person or firm'"   Fix: kind: "'person'\"""",
    "M128": """An example that says not what is given, or not exactly one of expect, rejects and excluded.
Example: {name: x, given: {…}}   Fix: {name: x, given: {…}, expect: {…}}""",
    "M130": """There is no mapping of this name. Mappings are named after folder and file.
Example: crossdock compile cart/order   Fix: crossdock compile cart/orders""",
    "M131": """The sample beside a mapping is not JSON, or too large. Without it lint cannot know the stream's fields.
Fix: put one record, or a list of some, into mappings/<system>/<stream>.sample.json""",
    "M132": """The filter of an `each` reads a text as a number or a day, which can fail on a record; its items would vanish.
Example: each: line_items[quantity > 0]   Fix: each: line_items, when: quantity > 0   (a row that fails is then rejected)""",
    "M133": """The version of a row is taken from a clock that the stream declares not to be trusted. It is not used: the order
in which records were pulled decides.   Fix: leave version: out""",
    "M301": """A value is not of the column's type. The record is rejected with the raw value; it never becomes an empty column.
Example: quantity is 'many'; a date is 2026-02-30   Fix: have it corrected in the system, or read it with a function""",
    "M302": """A value is missing that every row needs: null, absent, or an empty text.
Fix: have it filled in the system, or give a default: where that is true for all records""",
    "M303": """A value of a picklist that the value map does not know, and the mapping does not say what it means.
Fix: add it to values.yaml, or say unmapped: default   (crossdock quarantine shows the value)""",
    "M304": """A value that is none of those the column may hold.
Fix: use a value map: {at: status, values: <name>}""",
    "M305": """A number has more decimals than the column keeps: 4 for money, 6 for quantities and rates, none for whole numbers.
It is not rounded in silence. Example: 12.34567 as money   Fix: round(price, 4), or correct it in the system""",
    "M306": """An expression cannot be computed for this record: a text in it is no number or day, a division by zero, an overflow.
The raw value shows what was read.   Fix: correct the record, or the expression for such records (case when …)""",
    "M307": """A time of day without its offset from UTC. Read as UTC it would be wrong by the zone's offset, every time.
Example: 2026-01-02T08:59:11   Fix: ordered_at: instant(created_at, 'Europe/Berlin')""",
    "M308": """Two children of one record have the same key, so one would replace the other.
Fix: choose a key that tells them apart; ordinal() counts them""",
    "M309": """A list of one record has more items than can be numbered (65,535).
Fix: this is hardly one record; have the system send it in parts""",
    "M401": """An example does not hold: the mapping makes another value of what is given.
Fix: correct the mapping, or the example""",
    "M402": """An example does not hold: the record is rejected, excluded or mapped, and the example says otherwise.
Fix: the message names field, rule and raw value""",
    "M403": """An example cannot be tried: its record is not of the shape that the mapping reads, or it expects unknown columns.
Example: customer: 12 where the mapping reads customer.id   Fix: customer: {id: 12}""",
}
