"""What the codes Q (quality) and R (reconciliation) mean; `crossdock explain CODE` shows it."""

from __future__ import annotations

CODES: dict[str, str] = {
    "Q101": """A file under quality/ holds no rules.
A file that is read and says nothing would look like a gate that finds nothing.
Example: an empty quality/customer.yaml.
Fix: write entity: and rules: with at least one named rule, or delete the file.""",
    "Q102": """A rule names a column that its entity does not have.
Such a rule would check nothing. Columns are named as in the canonical model, without `_ref`.
Example: required: emial in quality/customer.yaml.
Fix: take the nearest name that the finding shows.""",
    "Q103": """A rule file or a rule has a setting that is not known.
A misspelt setting is silently without effect, so it is refused.
Example: severty: block.
Fix: take the nearest name that the finding shows.""",
    "Q104": """A rule file names an entity that the model does not have, or none.
Example: entity: salesorder.
Fix: take the nearest name; warehouse/model.py lists them all.""",
    "Q105": """A rule file is not named after its entity.
The file's name decides which built-in file a project's file replaces.
Example: entity: customer in quality/people.yaml.
Fix: rename the file.""",
    "Q106": """A rule's name is not made of lower case letters, digits and _.
The name appears in findings, in the warehouse and in Great Expectations.
Fix: write it like total_adds_up.""",
    "Q107": """A rule is of no kind, or of several.
A rule says one thing, so that its finding says one thing.
Example: required: and range: under one name.
Fix: make two rules; `docs` and quality/checks.py list the kinds.""",
    "Q108": """A severity is not known, or not possible for the kind.
warn tells; quarantine keeps the row out of the merge; block closes the gate for the entity.
reference_exists may only warn: a reference that has not arrived yet waits at the merge and is not an error.
Fix: write one of the three.""",
    "Q109": """A rule has no message.
The message is what a person reads beside the quarantined row.
Fix: write one sentence that says what has to hold.""",
    "Q110": """A rule's own code is not well formed, or is one of the hub's.
Codes are stable and can be explained; Q with a number belongs to the hub.
Example: code: Q999.
Fix: use your own letters, such as ACME-12, or leave it out.""",
    "Q111": """A threshold is not a share, or at_least not a number of rows.
threshold: 0.2 closes the gate when more than 20 % of the rows a rule speaks of fail, once at_least rows do.
Fix: write a number from 0 to 1, and a whole number from 1.""",
    "Q112": """A rule's kind is not completely said, or with the wrong sort of value.
Example: range: {column: quantity} without least, most, above or below.
Fix: the finding names what is missing.""",
    "Q113": """A column's kind does not fit the rule.
Example: a range over a text, a sum over a date, a comparison of a day with an amount.
Fix: name a column of the kind the finding asks for.""",
    "Q114": """A rule sums rows that do not belong to the rule's entity.
Rows belong to a header as its children, or because a reference of theirs names it.
Example: plus: invoice.total in quality/product.yaml.
Fix: name a child, or an entity with a reference to this one.""",
    "Q115": """A condition asks for a value that the column never has.
The rule would never apply, and nobody would notice.
Example: when: {status: activ}.
Fix: take one of the values of the model.""",
    "Q116": """A pattern is not a regular expression that DuckDB (RE2) understands.
RE2 has no look-around, no back references and no possessive repeats.
Fix: write it without, or use two rules.""",
    "Q201": """A required value is missing or blank in a row.
Example: an order without a currency.
Fix: complete the record in its system; the next pull replaces the quarantined row.""",
    "Q202": """A row has none of several values, of which one has to be there.
Example: a customer with neither e-mail nor name cannot be recognised again.
Fix: complete the record in its system.""",
    "Q203": """Two records of one system have the same value where it has to be unique.
None of those that came in one run can be trusted, so all of them are found; what an earlier run merged stays.
Example: two materials with one SKU.
Fix: correct one of the records in its system.""",
    "Q204": """A row refers to a record that came neither in this run nor in an earlier one.
This is a warning: the merge lets the row wait until the other record arrives.
Fix: none, unless it stays so; then look for the other record in its system.""",
    "Q205": """A number or a day lies outside its bounds.
Example: a line with quantity -2.
Fix: correct the record in its system.""",
    "Q206": """A text does not look as it has to.
Example: country code DEU where two letters are expected.
Fix: correct the record, or the mapping's expression.""",
    "Q207": """A text is not one of the allowed values.
Example: currency EURO instead of EUR.
Fix: correct the record, or add a value map to the mapping.""",
    "Q208": """An amount is not the sum of its parts, to the minor unit of its currency.
Example: an order's total is not lines - discounts + charges + tax.
Fix: find out which figure is wrong in the system that sent it; do not push it on.""",
    "Q209": """Two amounts or days stand in the wrong relation.
Example: more was refunded than was paid; a price ends before it begins.
Fix: correct the record in its system.""",
    "Q210": """The newest value of a column is older than the rule allows, counting what was merged before.
Example: no order for three days; mostly an export or a pull has stopped without an error.
Fix: look at the system and at its pull; lower `hours` where it is only quiet.""",
    "Q211": """A day so far has far more or fewer rows than the same weekday of the weeks before, up to the same time.
Example: half of the stores are missing in an export; a filter was lost and everything came.
Fix: compare with the system's own count. The rule says nothing until there are `days` such days.""",
    "Q212": """A value has quite another share of the batch than on the same weekday of the weeks before.
Example: all payments are suddenly `pending`, because a field was renamed and its default is taken.
Fix: look at the records and at the value map. The rule says nothing of a batch with fewer than `rows` rows.""",
    "Q301": """A share of failing rows is above the rule's threshold, and the gate is closed for the entity.
So many rows seldom go bad by themselves: a mapping, a field or an export has changed.
Nothing of this entity is merged from this run; the position does not lose it.
Fix: look at the findings, correct the mapping or the system, and run again.""",
    "Q302": """A row failed a rule of severity block, and the gate is closed for the entity.
Fix: correct the record in its system, or lower the rule's severity if a single row should not stop the others.""",
    "Q303": """An expectation raised an error instead of giving an answer; the gate is closed for the entity.
A gate that cannot decide is closed: no answer is not a good answer.
Fix: read the error in gate.results of the run file; mostly a rule and the mapped table do not fit.""",
    "Q304": """A suite could not be run at all; the gate is closed for its entity.
Example: Great Expectations is not installed, or the run file cannot be opened because its writer still holds it.
Fix: read the error, repair, and run the gate again.""",
    "Q305": """A rule has no result; the gate is closed for its entity.
Every rule needs an answer from Great Expectations for the gate to open.
Fix: run the gate again; if it stays, the suite was built from other rules than the marks.""",
    "Q306": """Great Expectations and the gate's own predicate count different numbers of failing rows.
One of the two is wrong, so neither is believed; the gate is closed for the entity.
Fix: this is a defect of the rule's kind; report it with the rule.""",
    "Q308": """A rule could not be evaluated on the run file; the gate is closed for its entity.
Example: the mapped table has no column of that name because the model and the run file are of different versions.
Fix: run the mapping step again with the present model.""",
    "Q309": """An evaluation was made of other rows than the gate marked; the gate is closed.
A verdict holds for one batch, which it names by a digest of all its rows.
Example: results that are left over from an earlier run, or a mapping that ran again between marking and evaluating.
Fix: run the step gate again.""",
    "Q310": """The rows to be merged are not those that the gate judged, or no gate judged them. Nothing was merged.
Example: the mapping was run again after the gate.
Fix: run the step gate again; the run's segments are not lost.""",
    "R101": """A file under quality/reconcile/ cannot be understood as a reconciliation.
It needs entity, left, right, key and compare.
Fix: quality/reconcile/orders.yaml is an example; docs/reconciliation.md explains all there is.""",
    "R102": """A reconciliation names an entity or a column that the model does not have.
Fix: take the nearest name that the finding shows.""",
    "R103": """A reconciliation has a setting that is not known.
A misspelt setting is silently without effect, so it is refused.
Fix: take the nearest name that the finding shows.""",
    "R104": """A value in a reconciliation is of the wrong sort.
Example: in_flight: {hours: soon}.
Fix: the finding says what is expected.""",
    "R106": """One side was never synchronised, so nothing can be said about it.
Everything would be missing there. Open breaks stay as they are.
Fix: run a sync of that system first.""",
    "R201": """missing_left: the right side has a record that the left side does not know.
Example: an order in the ERP whose number the cart never gave.
Fix: find out who entered it; a wrong number is corrected in the ERP.""",
    "R202": """missing_right: the left side has a record that has to be on the right side and is not.
Example: a paid order of the cart that never reached the ERP.
Fix: where the hub writes, the next push creates it, from go-live on; older ones are entered by a person.
Money that did not arrive is asked for at the provider.""",
    "R203": """duplicate: one side has several live records for one key.
Example: an order entered twice in the ERP.
Fix: cancel all but one there.""",
    "R204": """amount: the totals differ, mostly in the lines.
Fix: compare prices and discounts of the lines on both sides.""",
    "R205": """tax: the totals differ, mostly in tax.
Fix: compare tax rates and the customer's tax status on both sides.""",
    "R206": """shipping: the totals differ, mostly in shipping or other charges.
Fix: look whether the charge was entered on both sides.""",
    "R207": """discount: the totals differ, mostly in discounts.
Fix: look whether the coupon or allowance was entered on both sides.""",
    "R208": """rounding: the totals differ by no more than the allowed rounding.
Fix: mostly none; round in the same place on both sides (line or document).""",
    "R209": """status: the two sides are in states that do not fit.
Example: cancelled in the cart and open in the ERP.
Fix: the push cancels where it still can; once delivered, a person decides.""",
    "R210": """currency: the two sides hold the record in different currencies; amounts are not compared.
Fix: correct the currency where it is wrong.""",
    "R211": """customer: the two sides name different customers.
Fix: correct the customer of the order, or the binding of the customer.""",
    "R212": """quantity: the ordered quantities differ.
Fix: compare the lines on both sides.""",
    "R213": """unknown: the totals differ and no part explains the most of it.
Fix: compare the records; the break names segment and line of both.""",
    "R214": """fx: every part of the amount is off by one and the same factor, shipping too: somebody converted the currency.
Example: an order of 100.00 USD that stands as 92.00 USD in the books.
Fix: find out which side converted, and book the amounts in the order's own currency.""",
    "R215": """timing: a day or an instant lies further apart on the two sides than is allowed.
Example: a payout that the bank shows nine days after the shop.
Fix: none while it is only late; else correct the date where it is wrong.""",
    "R216": """reference: a text that both sides should hold alike differs, such as a number, an address or a note.
Fix: correct it in the system that is wrong; where the hub owns the field, the next push brings it.""",
    "R217": """fee: a provider kept another fee than was agreed for the payment.
Example: a payout charges 2.9 % of a capture for which 1.5 % was agreed.
Fix: compare with the provider's price list, and claim the difference there.""",
    "R301": """lost: the system has it and the lake has not; no pull ever brought it.
Example: a record that was committed late, behind the cursor, by more than the stream's overlap.
Fix: give the stream a longer overlap, and pull it from the beginning.""",
    "R302": """late: the lake has an older version of it, also after one more run.
Example: a change that does not move the record's updated_at.
Fix: take another cursor for the stream, or a full pass now and then.""",
    "R303": """gone: the lake has it and the system has it no longer; it was deleted there without a word.
Example: an order that somebody removed by hand.
Fix: look whether it should be gone, then crossdock complete SYSTEM --apply takes it for deleted here, too. What the hub sent elsewhere
because of it is not taken back by itself; a mirror archives it.""",
    "R304": """not merged: the lake has it and a mapping reads it, and neither the warehouse nor the quarantine has it.
Fix: crossdock replay SYSTEM maps and merges again what is kept.""",
    "R305": """A full pass is not believed: it brought nothing, or more than the set share would be gone; with --apply also where records
were pulled meanwhile, or a record is made of several.
An outage or a lost permission looks like that; nobody deletes half a system in a day.
Fix: look into the system; if it is true, say so with a higher --most-gone.""",
    "R306": """there again: it was taken for deleted, the system has it, and no pull brought it.
Example: somebody could not see it for a while; its updated_at did not move.
Fix: crossdock complete SYSTEM --apply keeps it as the full pass read it, and it is alive again.""",
}
