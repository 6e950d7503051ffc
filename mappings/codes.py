"""What the codes of the mapping language mean: M1xx what lint says of reading, M2xx of pushing, M3xx why a record is
rejected, M4xx what examples say. `crossdock explain CODE` shows it.
"""

from __future__ import annotations

from mappings.functions import FUNCTIONS, OF_PUSHES

_FUNCTIONS = "\n".join(f"  {function.signature}: {function.doc}" for function in FUNCTIONS.values())
_OF_PUSHES = "\n".join(f"  {one}" for one in OF_PUSHES.values())

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
    "M110": """A column that every row of the entity needs is not read, so every record would be rejected. (A mapping that reads nothing but
deleted_at is a list of deletes, and needs none.)
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
    "M118": """A mapping pushes in more ways, or pushes more lists, than any system has calls for.
Each of them is compiled for itself, and the whole file would take long for nothing.
Example: 21 of them under push:   Fix: split the mapping; 20 pushes, and 20 lists in each, are read""",
    "M119": """A push names an operation that there is not.
What others call insert and update is create and change here.
Example: operation: update   Fix: one of create, change, cancel, fulfil, upsert, archive, mirror""",
    "M120": """An expression cannot be read. The language has paths, literals, operators, case and a closed list of functions,
and nothing else of SQL: no select, no second statement, no comment.
Example: lower(email   Fix: lower(email)""",
    "M121": f"""There is no such function, or it has no meaning here. What is not in the closed list cannot be called: files, network,
clocks and chance among it, since the same raw data has to give the same rows.
Example: now()   Fix: a field of the record. There are:
{_FUNCTIONS}
In a push also:
{_OF_PUSHES}""",
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
    "M134": """Records that were deleted come with a flag, and the mapping does not read it: they would live on in the hub.
`when:` that leaves them out does not help, for what was merged before stays as it was. (A warning.)
Example: the CRM's IsDeleted   Fix: deleted_at: {at: LastModified, when: IsDeleted = 'true'}""",
    "M135": """Two mappings of a system make a row of the same entity with the same key of each record of one stream. A record has one row
for each key, so one of the two would be lost without a word.
Example: shop/orders and shop/orders2, both of stream: orders, entity: sales_order, key: id
Do: write both into one mapping, or give each a when: that leaves the other's records out.""",
    "M140": """A function that Python computes, once for each distinct value, stands where nothing can be looked up: within the
brackets of a path, or in a push.
Example: phones[phone(number) = '+49…'].number   Fix: phone(phones[kind = 'main'].number); in a push, send the column that was
read with the function under fields:""",
    "M142": """Children that are records of a stream, written in a way that cannot be: with each:, too; in a mapping that goes through
a list itself; or of the mapping's own stream where that has one record for each row, so that there could be one child only.
Example: order_line: {stream: order_items, each: lines, …}   Fix: order_line: {stream: order_items, parent: order_id, key: id, …}""",
    "M143": """Which record is meant is computed by an expression that can fail on a record of the other stream. Such a record would
be found by nobody, in silence.
Example: by: number(id)   Fix: by: id   (keys are compared as texts: ltrim(id, '0') is one)""",
    "M150": """What a field means in trade is not said as it can be read. `types:` of a mapping says it of what a stream sends (with
names only, lists without indexes), `Stream.types` and `TargetField.type` of a connector for all mappings. There are
  money [net | gross | tax] [EUR | in <field>]    quantity [KGM | in <field>]    instant    date
  picklist <value map> [| <value map>]            picklist erp.order_status        id customer [of erp]
Example: types: {total: gross money}   Fix: types: {total: money gross in currency}""",
    "M151": """Amounts of two currencies are added, compared, or put into one place. Which is meant cannot be told, and the sum is wrong.
What is declared counts (`types:`), what from_minor(x, currency) says, and the row's own currency column.
Example: total: price_eur + price_usd   Fix: convert one first; for rows of one currency only, when: currency = 'EUR';
where it is right all the same, number(x) makes an amount plain""",
    "M152": """Net and gross amounts are added, compared, or one goes where the other belongs.
net + tax = gross, gross - tax = net, gross - net = tax; a product with a number may hold a rate, and is neither until said.
Example: total: subtotal   where subtotal is money net, and total of an order is gross   Fix: total: subtotal + total_tax""",
    "M153": """Quantities of two units are added, compared, or put into one place.
Example: quantity: weight   with types: {weight: quantity GRM} and unit: "'KGM'"   Fix: quantity: divide(weight, 1000, 3)""",
    "M154": """A word of one picklist goes where those of another belong: two systems seldom mean the same by the same word. A value map's
left side is the picklist of its system, its right side that of a column.
Example: payment_status: financial_status   Fix: payment_status: {at: financial_status, values: payment_status}
Or a condition asks a canonical picklist for a word that it has not. Example: lifecycle_status = 'close'   Fix: 'completed'""",
    "M155": """An id of one kind of record, or of one system, is used as that of another. Both may be 17, and they are two records.
Example: customer: {ref: customer, at: order_id}   with types: {order_id: id sales_order}   Fix: {ref: customer, at: customer.id}""",
    "M156": """Two things are added, compared, or put into one place that are not of one kind: an amount and a quantity, an id and a word.
Example: quantity: price   with types: {price: money net EUR}   Fix: quantity: quantity""",
    "M170": """A function of your own names something that is not one of its arguments. It knows nothing of the record: what it needs is
given to it, so that it means the same wherever it is called.
Example: full_name: {arguments: [first], is: "first || last"}   Fix: arguments: [first, last]""",
    "M171": """A function of your own has a name that the language has already, or that is no name.
Example: lower: {…}   Fix: lower_name: {…}""",
    "M172": """A function of your own has no example, or one that is not true. Examples say what it does, and prove it: `crossdock test` and lint
try each of them, and lint refuses a function without a true one.
Example: {given: [Ann, Lee], expect: AnnLee}   Fix: {given: [Ann, Lee], expect: Ann Lee}""",
    "M173": """Functions of your own call each other in a circle, or become too large where they are called. A call is compiled as if the
function's expression stood there, so each level of calls multiplies.
Example: a: {is: "b(x) || b(x)"}, b: {is: "c(x) || c(x)"}, and so on   Fix: say it with fewer calls""",
    "M174": """Nothing calls a function of your own. What nobody uses nobody keeps right. (A warning.)
Fix: remove it, or call it""",
    "M201": """What a push is about does not exist, or is the child of something else.
Lines travel with their order: a push is about the order, and lists the lines under children.
Example: push: {entity: order_line}   Fix: push: {entity: sales_order, children: {order_line: {each: items, fields: […]}}}""",
    "M202": """A push names a column that the entity does not have, and no value to send under a name of its own.
Example: - remark: {at: note}   Fix: - note: {at: note}, or - remark: {at: note, value: "'from the shop'"}""",
    "M203": """Where a value goes is not a place in a payload: only names with dots between them are.
Example: at: addresses[0].city   Fix: at: address.city, or a list of children with each: addresses""",
    "M204": """Two values go to the same place of a payload, or one goes into the other; only one would be sent.
Example: - name: {at: address}  and  - city: {at: address.city}   Fix: give each its own place""",
    "M205": """A push names a column without saying where it goes, and this mapping does not read the column.
A bare name means: at the place from which it is read.
Example: - note   Fix: - note: {at: remark}, or read it under fields:""",
    "M206": """A column cannot be sent by its bare name, because the way in cannot be walked backwards.
Only a plain path is the same both ways; an expression loses something, and guessing it would change the target's data.
Example: email: lower(trim(Email)) and then - email   Fix: - email: {at: Email}""",
    "M207": """Several values of the target mean one of ours, so that it is not clear which is to be sent.
Example: order_status: {open: open, new: open}   Fix: order_status: {in: {open: open, new: open}, out: {open: open}}""",
    "M208": """A reference is sent like a plain column, or a plain column like a reference.
The hub's id means nothing to the target: `ref:` puts in the target's own id of the other record, or waits for it.
Example: - customer: {at: sold_to}   Fix: - customer: {at: sold_to, ref: customer}""",
    "M209": """What decides whether a record is from before the go-live is neither an instant nor a day.
Example: since: number   Fix: since: ordered_at""",
    "M210": """An expression of a push names something that there is not: no column of the entity, no reference, no record
that refers to it, no column of the target's own view.
Example: when: state = 'open'   Fix: when: lifecycle_status = 'open'""",
    "M211": """A push reaches into a list. Canonical rows hold none; what belongs to a record are rows of their own.
Example: order_line[0].sku   Fix: first(order_line.sku)""",
    "M212": """total(), any(), latest() and first() are about all records of one entity that refer to this one; and where there may
be several such records, only they can be used.
Example: inventory_level.available   Fix: total(inventory_level.available)""",
    "M213": """bound() asks whether the target knows the record that a reference means; it was asked about something else.
Example: bound(number)   Fix: bound(customer)""",
    "M214": """A column is read with a value map and sent without one, so that it cannot be told whether the target has it already.
Every run would compare its word with ours. Example: - tier: {at: Tier, value: tier}   Fix: add values: tier (a warning)""",
    "M221": """The target's stream declares a field that it cannot do without, and the push does not send it.
Every call would be refused by the target. (Streams declare it as `target_fields`; those that declare nothing are not judged.)
Example: create of sales_orders without sold_to   Fix: - customer: {at: sold_to, ref: customer}""",
    "M222": """A push sends a value to a place that the target's stream does not declare.
Some systems refuse such a call, others throw the value away and say nothing. (A warning where the stream declares nothing, and its
sample nearly has the place.)
Example: - name: {at: Nmae}   Fix: - name: {at: Name}; if the field is new, add it to the stream's target_fields""",
    "M223": """A push can send a value that the target's picklist does not have: by a value map, a constant, or our own words.
Those records would be refused one by one, the first of them perhaps in a year.
Example: tier: {Platinum: gold}, where the target has Standard, Silver and Gold   Fix: tier: {Gold: gold}""",
    "M224": """A push can send a text that is longer than the target's field; it would be refused, or cut.
Example: order_type: "'WEBSHOP'" for a field of 4 characters   Fix: "'WEB'\"""",
    "M225": """A push names an operation that the target's stream cannot do, so that no plan would ever make the call.
A mirror is two operations: upsert, and archive for what is not wanted any more. Nothing is deleted instead.
Example: operation: mirror for orders, which the CRM cannot archive   Fix: operation: upsert; or teach the connector to archive""",
    "M226": """match: find asks the target for our key before a record is made there, and here it cannot be asked, or nothing is made.
Example: match: find with operation: change   Fix: leave match: out; what was pulled and matched is known without asking""",
    "M227": """null: clear empties a field of the target where our value is missing, and here that is not possible: the stream's API
takes no null, the field is required there, or the operation changes no field.
Example: - name: {at: Name, null: clear}, where the CRM needs a name   Fix: null: keep""",
    "M301": """A value is not of the column's type. The record is rejected with the raw value; it never becomes an empty column.
Example: quantity is 'many'; a date is 2026-02-30   Fix: have it corrected in the system, or read it with a function""",
    "M302": """A value is missing that every row needs: null, absent, or an empty text. A record whose deleted_at has a value needs none.
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
    "M311": """A record is looked up, in another stream or in the hub, and none has this key. The raw value is the key.
A lookup in a stream is made again when the record arrives; one in the hub when the record itself changes, or by crossdock replay.
Fix: have it corrected in the system, or say missing: default, or missing: pass (the key itself)""",
    "M401": """An example does not hold: the mapping makes another value of what is given.
Fix: correct the mapping, or the example""",
    "M402": """An example does not hold: the record is rejected, excluded or mapped, and the example says otherwise.
Fix: the message names field, rule and raw value""",
    "M403": """An example cannot be tried: its record is not of the shape that the mapping reads, or it expects unknown columns.
Example: customer: 12 where the mapping reads customer.id   Fix: customer: {id: 12}""",
    "M404": """A file of tests that tests nothing: there is no mapping of its name, or it holds no list of examples.
Such a file looks like proof and proves nothing.
Example: mappings/shop/order_test.yaml where the mapping is orders.yaml   Fix: call it orders_test.yaml""",
    "M407": """A record cannot be captured masked: it is refused, or read, as it is because of a personal value itself.
Look-alikes keep length, kinds of characters and validity; something else of the value matters here.
Fix: look at the value; --keep PART leaves it as it is, where that is allowed; or write the example by hand""",
    "M408": """A record cannot be captured: it is not of the shape that the mapping reads, so nothing is mapped or refused by it.
Example: customer is a text where the mapping reads customer.id   Fix: loose: [customer], or have the system mended""",
    "M409": """A captured example would still hold a personal value, in a part that is not tagged so.
It is not written: files of tests are read by everybody who reads the mappings.
Fix: report it; and write the example by hand, with values of your own""",
    "M410": """A record of a mapping that looks into other streams, or into the hub, is not captured: of those records nothing is masked.
Fix: write the example by hand: {given: {…}, known: {groups: [{…}]}, expect: {…}}""",
    "M405": """A column that goes both ways does not come back as it was sent: pull(push(x)) is not x.
After such a push the target's own word would differ from the hub's, and each run would find a difference again.
Example: name is read by upper(name) and sent as it is   Fix: send what the way in gives back, or read it as it is""",
    "M406": """What a push sends is refused when it is read back, by the same mapping.
The next pull would put the record that was just written into quarantine.
Example: a rate is sent as 19 and read as 0.19   Fix: let both ways say the same""",
    "M411": """`crossdock test --laws` generates its records with the library hypothesis, a tool of development.
It is not needed to run crossdock, so it is not installed with it.
Fix: pip install hypothesis""",
}
