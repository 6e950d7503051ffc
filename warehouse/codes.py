"""What the codes W (warehouse) mean; `crossdock explain CODE` shows it."""

from __future__ import annotations

CODES: dict[str, str] = {
    "W101": """Another process has the warehouse, the snapshot or a run file open.
DuckDB lets one process write a file, and a reader in another process blocks that one.
Example: a notebook that opened data/warehouse.duckdb.
Fix: close it; analysts and pages open data/published/warehouse.duckdb. The step can be tried again.""",
    "W102": """A DuckDB file cannot be opened: it is damaged, or no database.
Fix: restore it from a backup, or make the warehouse anew with crossdock rebuild; the lake and the ledger have everything.""",
    "W103": """Another process has held the writer lock for longer than a step waits.
A merge holds it for a second or two, publishing for as long as copying the file takes.
Fix: try again. If it stays so, look for a sync that hangs; the lock goes with its process.""",
    "W104": """CROSSDOCK_MEMORY does not say how much memory DuckDB may hold.
Beyond it DuckDB writes beside its file: slower, and bounded. Reading JSON takes 64 MB by itself.
Example: CROSSDOCK_MEMORY=lots
Fix: write 400MB, 2GB; or leave it out, and DuckDB takes up to 80 % of the machine's.""",
    "W105": """The ledger is locked by another process, or the PostgreSQL that holds it does not answer.
Nothing is merged or sent without it, and nothing is lost: what was begun is settled by the next run.
Fix: try again. If it stays so, look who has it: a backup tool, a copy of a file that is in use, a program that has it open.""",
    "W106": """The file of the ledger is damaged, or no SQLite database.
Nothing is merged or sent without it: it alone knows what the targets were told. It is never made anew by itself.
Fix: put the newest backup in its place. What was sent after that backup it does not know, and a merge says so (W143).""",
    "W110": """A text that should be one SQL statement is none, or several.
One statement a call is a rule: a second one behind a semicolon is how foreign text gets executed.
Fix: split it.""",
    "W120": """A statement failed in DuckDB. The message names the statement, and DuckDB's own words without the values.
Nothing of it was kept: steps write all or nothing.
Example: the statement 'cart/orders: into mapped.sales_order' failed: Conversion Error …
Fix: crossdock compile shows the SQL by these names; correct the mapping and run the step again.""",
    "W130": """A column of the model has a name that the warehouse uses itself, such as hub_id, version or waiting.
Example: a project's own entity with a column `line`.
Fix: give the column another name.""",
    "W131": """A reference of the model points at a child entity, or at none.
Only entities with a head of their own have bindings, by which references are resolved.
Example: a column that refers to order_line.
Fix: refer to its header, here sales_order.""",
    "W132": """An entity of the model names a parent that is itself a child, or that does not exist.
Children travel with one header; there are two levels.
Fix: name the header.""",
    "W134": """The warehouse was written by a newer crossdock than this one.
Its tables may mean something that this version does not know.
Fix: install the version that wrote it, or rebuild the warehouse with this one.""",
    "W135": """A column of the warehouse has another type than the model says.
Columns are added as the model grows; changing a type would change what stands in them.
Fix: give the column a new name in the model, or rebuild the warehouse.""",
    "W140": """There is no file of this run.
Fix: run the step stage first; it makes the file. Old run files are deleted after a while.""",
    "W141": """There is no warehouse yet.
Fix: crossdock run makes it with the first merge.""",
    "W142": """Nothing has been published yet: queries and plans read the snapshot.
Fix: crossdock run, then crossdock publish.""",
    "W143": """The warehouse and the ledger do not tell the same past, so nothing is merged.
The ledger's journal names every merge, in order. A warehouse that was lost, or restored from an older backup, lacks the last ones; merged
anew, records would get other hub ids than the targets know. A ledger that is older than the warehouse has forgotten what was sent.
Fix: crossdock rebuild makes the warehouse anew with the same hub ids, crossdock rebuild --forward adds to an older one what it lacks;
an older ledger has to be replaced by the newest there is.""",
    "W301": """Records of a run are unaccounted for: the count law does not hold, and nothing was merged.
read = duplicates + staged; staged = rejected + excluded + mapped; mapped = passed + waiting + quarantined + held + superseded.
A record that is in none of these states would have vanished without a word.
Fix: this is a defect of a mapping's counting or of crossdock. Keep the run file and report it.""",
    "W302": """A run file holds two versions of one record where there should be the newest only.
Merging both would let their order in the file decide.
Fix: let the step map end with superseding, before the gate.""",
    "W401": """A query is not one SELECT.
Queries only read, one statement at a time; SHOW, DESCRIBE and EXPLAIN are allowed too.
Fix: write one statement that only reads.""",
    "W402": """DuckDB refused a query; its words stand in the message.
Example: a column that is not there, or a file that a query must not read.
Fix: `show tables` and `describe sales_order` list what there is.""",
    "W403": """A query took longer than it may.
Fix: ask for less, or open the snapshot with a tool of your own; it is a DuckDB file.""",
    "W310": """A raw field came that no record of the stream had before.
Columns that mappings do not declare are not read, so nobody would notice. It is a warning on the stream, told for thirty days.
Example: an order suddenly has `gift_message`.
Fix: decide whether a mapping should read it; crossdock preview lists what is not read.""",
    "W311": """A raw field that came in every record is in none of a sample, though the object that held it is there.
Example: `customer.email` is called `customer.mail` since the shop was updated.
Fix: look at the stream's newest records; correct the mapping and replay.""",
    "W312": """A raw field has values of a kind that it never had.
Example: `total` was a text and is a number now, or `address` is a list.
Fix: look at what the mapping makes of it: crossdock preview; a cast that fails is a reject with its reason.""",
}
