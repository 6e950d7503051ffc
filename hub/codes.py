"""What the codes C (connection), D (data on the wire and in segments) and F (configuration files) mean.

`crossdock explain CODE` shows it.
"""

from __future__ import annotations

CODES: dict[str, str] = {
    "C101": """A call got no answer, or one that says nothing of what became of it.
A call that reads is repeated. One that writes is not: the system may have done the work before the answer was lost, and a
second order is worse than a late one. Its outcome is `unknown`, and it is looked up by our own key before it is tried again.
Example: the connection was reset after POST /orders; a gateway answered 502.
Fix: none is needed; if it happens often, look at the network and at the connection's timeouts.""",
    "C102": """The system cannot be reached: its name is not known, nothing listens there, or a folder cannot be opened.
Nothing was sent, so nothing can have happened. Other systems go on; the exit code is 3.
Example: cannot reach erp.example.com:8443.
Fix: look whether the system is up, and whether the connection's url is right.""",
    "C103": """The system answered several times that it is busy (429, 503, its own sign for it).
We waited as long as it asked, or ever longer with jitter, and then gave up for this run. The position stays where it was.
Example: GET /orders answered 503 5 times.
Fix: run again later; lower the connection's extra.rate_limit if we are too fast for it.""",
    "C104": """The system asks for a longer pause than we wait out.
A worker that sleeps for an hour is a worker less; the scheduler tries again instead.
Example: answered 429 and asks for a pause of 3600 s.
Fix: run again after that time.""",
    "C105": """The credentials were refused, or they do not permit this call.
Nothing was read or written. Pushes that met this may be tried again as they are.
Example: reading orders is refused: 401 invalid token.
Fix: correct login and password of the connection (AIRFLOW_CONN_<ID>, or the environment that crossdock.yaml names).""",
    "C106": """A call was to go to a host that is not one of this connection.
A next-page link or a redirect that leads elsewhere could carry credentials away or reach into your own network.
Example: the Link header of a page names another host.
Fix: if the host belongs to the system, list it in the connection's extra.hosts; it gets no credentials.""",
    "C107": """The certificate of the system is not trusted, has expired, or is made out to another name.
Whoever stands between could read the credentials, so there is no way to switch this off.
Example: a company's own authority signed it.
Fix: name the authority's bundle in the connection's extra.ca_file, or correct the host in the url.""",
    "C108": """An answer or a file is larger than what is read, also after decompression.
A small compressed body can inflate until the machine has no memory left.
Example: 2 MB of gzip that become 500 MB.
Fix: ask for smaller pages (page_size of the stream), or have smaller files sent.""",
    "C109": """A host's name leads to this machine itself, to a link-local or a multicast address.
A name that somebody else controls could so reach services that trust local callers, or a cloud's metadata.
Example: shop.example.com resolves to 127.0.0.1.
Fix: name the system itself. A url that says 127.0.0.1 or localhost in so many words is allowed.""",
    "C110": """A redirect that is not followed: of a write, from https to http, or one after another without end.
A write that is silently sent elsewhere, or becomes a read, is lost.
Example: POST /api/orders answers 301 to /api/v2/orders.
Fix: give the connection the address that the system wants.""",
    "C112": """The system refused a call with a status that repeating will not change.
Its own words stand in the message. The stream stops, the others go on.
Example: GET /orders answered 400: updated_at_min is invalid.
Fix: read its words; the API may have changed, or the stream's path or parameters are wrong.""",
    "C113": """An address that is none: no http or https, a port that is no number, or one where the system does not speak https.
Example: ftp://erp.example.com; https://erp.example.com:8080, where http is spoken.
Fix: correct the connection's url.""",
    "C120": """The folder that files are dropped into is not there.
An empty folder is normal, a missing one is a wrong path or a share that is not mounted.
Example: url: data/sandbox/drop before the sandbox was started.
Fix: correct the connection's url, or mount the share.""",
    "C121": """A dropped file cannot be opened. The others are read, and this one is tried again in the next run.
Example: another user owns it.
Fix: give us leave to read it.""",
    "C122": """No file of the folder matches the stream's pattern. That is normal before the first one was dropped.
Example: no file matches 'prices_*.csv'; there are: price_1.csv.
Fix: correct `pattern` in the stream's options, if one of those that there are is meant.""",
    "C190": """A connector failed with an error of its own, not one of the system's.
The stream stops where its last complete page ended; the other streams go on. The error's text is left out, because it can
hold a record or a password; the message names the place in the file.
Example: the connector 'my_shop' failed with KeyError at my_shop.py:41.
Fix: correct the connector at that place, and run its conformance tests.""",
    "C191": """The sandbox systems of the demo did not start.
Example: another process holds port 8801.
Fix: read the last lines of the log that the message names.""",
    "C192": """Airflow did not come up in time.
Example: another Airflow holds port 8080, or the machine has too little memory.
Fix: read the last lines of the log that the message names.""",
    "C193": """The lake could not be written.
What was pulled is kept in the work folder and loaded by the next run; the position did not move.
Example: the disk is full, or the object store refuses the credentials.
Fix: look at the disk or the object store that the message names, and run again.""",
    "C201": """The WSDL cannot be read: it is not there, no XML, or not a WSDL.
Without it no envelope can be written, so no stream of this system is pulled.
Example: a login page came instead of the WSDL.
Fix: open the address with a browser; correct the connection's url, or name another address or a file in extra.wsdl.""",
    "C202": """The WSDL imports a schema from another host, or from a local file, and we do not fetch those.
Some old WSDLs name schemas that nobody serves any more; others would make us read what they please.
Example: http://schemas.xmlsoap.org/soap/encoding/.
Fix: put a copy at the path that the message names, in a folder that the connection's extra.schema_cache names.""",
    "C203": """The system answered with a SOAP fault.
Its code and words stand in the message.
Example: ListSalesOrders: ERP-422 changed_date is not YYYY-MM-DD.
Fix: read its words.""",
    "C204": """The WSDL has no operation of the name that the connector calls.
The system has another version, or the WSDL belongs to another service.
Example: the WSDL has no operation ListCreditMemos.
Fix: name the right WSDL in the connection's extra.wsdl.""",
    "C205": """What was to be sent does not fit the schema of the operation. Nothing was sent.
Example: SalesOrder has no field 'note'.
Fix: correct the fields of the mapping's push.""",
    "C206": """A plain text came where XML was due.
Example: Service temporarily unavailable, with status 200.
Fix: read it; if it is a proxy's, the connection's url is wrong.""",
    "C301": """Records lack a field that the connector relies on: the primary key or a field of the cursor.
Without the key rows cannot be told apart, without the cursor changes are missed; so a pull stops there, too.
Example: customers have no 'updated_at'.
Fix: correct primary_key or cursor_fields of the stream, or the API has changed.""",
    "C310": """A conformance check could not be carried through, because the connector or its sample raised.
An exception here is one in a run, too.
Fix: correct what the message names, and run the check again.""",
    "C311": """A connector's name is not that of its file, a stream's name is no name for a table, or there are no streams, or no tuple of them.
One name everywhere: module, connector, and what crossdock.yaml writes.
Fix: rename the one or the other.""",
    "C312": """A connector uses a word that nothing reads, another one for something that has a name, or contradicts itself.
An option that is misspelt is one that is not there: without its paginator a stream is its first page. So nothing is pulled.
Example: there is no option 'pagination'; per_page for page_size; cursor 'keyset' without cursor_fields.
Fix: write the word that the finding names. Words that a connector reads itself stand in its class: words = ("key",).""",
    "C313": """Importing a connector loads a heavy library, or prints something.
`crossdock lint` and Airflow's DAG files import connectors and have a second for everything.
Example: import zeep at the top of the file.
Fix: import it inside the function that needs it.""",
    "C314": """A connector's pull gives records that are not one JSON object in one line of UTF-8 bytes.
A segment holds one record a line; anything else is rejected when it is staged.
Fix: take them from hub.records.split, or encode them with hub.records.encode.""",
    "C315": """Records lack their primary key, or a page has the same one twice.
Rows could not be told apart, and one of the two would be lost.
Fix: correct primary_key of the stream; a key of several fields has to be made into one.""",
    "C316": """A pull that goes on from a cursor loses records, or the cursor is no JSON.
A killed run goes on from the last cursor that was kept.
Fix: give with each page the cursor of its last record, and ask for what changed at or after it.""",
    "C317": """Pulled one page at a time, a stream never comes to its end.
Most often the overlap is longer than a page, and each pull begins before the one before.
Fix: make cursors with hub.cursor, which leaves the overlap out in mid-sequence.""",
    "C318": """A pull from the end brings records from before the overlap: it reads everything again.
Fix: look whether the system heeds the parameter that asks for changes; some ignore it silently.""",
    "C319": """A push does not give one outcome for each change, in order, or an operation has no sample to be tried with.
Outcomes are matched to intents by their place; one missing, and an order gets another's number.
Fix: give `unsupported` for what cannot be done, and never raise for one record.""",
    "C320": """What the system refused is not reported as rejected, or without its words.
Many systems say HTTP 200 and put the refusal inside; taken as done, the order never arrives.
Fix: read the answer, and put the system's own words into the outcome.""",
    "C321": """A write without an answer is not `unknown`, was made twice, or is not found by our key.
Only so can it be looked up instead of being made again.
Fix: map TransientError C101 with hub.http.outcome_of, and implement find.""",
    "C322": """With wrong credentials a check says nothing, or a pull does not raise AuthenticationError.
A person has to act, and no repeating helps: so it must not look like a system that is down.
Fix: let hub.http.refusal make the error.""",
    "C323": """The connector's check has findings on a system that is as it should be.
Fix: correct what it says; the finding names it.""",
    "C324": """A password or token is shown in a repr, a finding, an error, an outcome or a log line.
Logs are read and kept by many.
Fix: reveal a Secret only where it is sent, and put texts of the system through the session's redact.""",
    "C325": """Read several pages at a time, a stream gives other records, or in another order, than one page after another.
The position would move past pages that have not landed.
Fix: give pages out in the order of their numbers (hub.ahead), or leave `parallel` at 1: the API's order is not firm.""",
    "C401": """The system answered a call with an error inside an answer that HTTP calls good (GraphQL, JSON-RPC).
Its own words stand in the message.
Example: Cannot query field "totl" on type "Order".
Fix: read its words; if it names a field, the system's version differs from what the connector knows.""",
    "C402": """The system refused a change by a rule of its own, or asks a person before it goes on (UserError, UserWarning).
Its words stand in the message; nothing was changed. Warnings are never answered yes from here.
Example: You can not call "cancel" on "5 [1001]" of "Sale".
Fix: decide in the system itself, or correct the record.""",
    "C403": """The user of the connection belongs to no company, so the system shows and takes no sales.
Fix: set a company in the user's preferences, or name one in the connection's extra.company.""",
    "D101": """A web page came where data was due, with status 200.
It is a login form, a maintenance page or a proxy's. The position stays where it was, nothing is lost.
Fix: if it is maintenance, run again later; else correct the connection's url.""",
    "D102": """A page of JSON is empty, cut off, or not JSON.
None of its records is taken: half a page would look like a whole one. The position stays where it was.
Example: the page is cut off or not JSON, after 38 bytes.
Fix: run again later; if it stays, look at the page with a browser.""",
    "D103": """A page does not hold the list of records where the connector expects it.
An empty list is normal, a missing one means that the API has changed or the path is wrong.
Example: the page holds data, meta; the list 'orders' is not there.
Fix: correct `records` in the stream's options.""",
    "D104": """The pages of a stream go round in a circle, or a page gives nothing to go on from.
We would read the same records for ever. What was read before is kept.
Fix: this is a defect of the system; report it, with the page's address.""",
    "D105": """An answer belongs to another call than the one that was made.
Its content could be anything, so it is not used.
Example: JSON-RPC answers carry the id of their call, and this one's differs.
Fix: look for a proxy or a cache between us and the system.""",
    "D106": """An answer is no SOAP envelope, cut off, or not XML. The position stays where it was.
Example: the answer is cut off, after 43 bytes.
Fix: run again later; if it stays, the connection's url is wrong.""",
    "D107": """An answer or a WSDL declares a document type or entities.
No SOAP message has one. They are how an XML document reads local files or fills the memory, so it is not read.
Fix: find out who sent it.""",
    "D108": """A value of a kind that the connector does not know: the system is newer than what was tried.
Fix: the connector has to learn it; until then leave the field out.""",
    "D109": """For 64 MB an answer has held nothing that the WSDL says of it.
All of that would have to stay in memory.
Fix: is it the WSDL of this system, and of its present version?""",
    "D110": """A file is not in the encoding that the stream declares. File, line and byte are named.
Read all the same, names would get wrong letters, and nobody would notice until a parcel comes back. The file stays where it
is, the others are read.
Example: pricelist/prices_20261101.csv:2:42 byte 118 (0xc3) is not cp1252: the file is UTF-8.
Fix: have it sent again, or correct the stream's encoding.""",
    "D111": """A file is not CSV: most often a quotation mark is left open.
All the rest of the file would become one value. The file stays where it is, the others are read.
Fix: correct the file at the line that is named.""",
    "D112": """A file's header lacks a column, has one twice, is empty, or has more or fewer names than the first row has values.
Values would land in the wrong fields. The file stays where it is, the others are read.
Example: the header misses PREIS; often the separator is another one.
Fix: have it sent again, or correct columns or separator of the stream.""",
    "D113": """More pages follow than the stream's paginator finds, or nothing says whether the first one is all there is.
Only a part would be read, and nothing would look amiss. The page is not taken, the position stays where it was.
Example: only the first page would be read: the header Link names a next page.
Fix: write the paginator in the stream's options, e.g. {"kind": "link"}; {"kind": "single"} where there is never more.""",
    "D114": """The records of a stream with a cursor come with the newest change first, or in another order than that of changes.
A pull that is cut off would go on from the newest, and what is older would never come.
Example: 'date_modified' falls within a page, because the system sorts by it in descending order.
Fix: ask for another order in `params`; where the system has none, sort by id and write "order": "id".""",
    "D115": """The times that a stream's cursor is made of cannot be placed: they have no offset from UTC, or are no ISO 8601.
Read in the wrong zone, changes of hours would be left out or read again each time.
Example: 'date_modified_gmt' has no offset from UTC.
Fix: write "zone": "UTC" in the stream's options, or "local" where it is the time of the connection's timezone.""",
    "D201": """A record in a segment is not JSON: cut off, or not one record a line.
Only this record is rejected, with its raw text; the rest of the segment is staged.
Fix: look at it with `crossdock quarantine show`; the next pull brings it again if the system still has it.""",
    "D202": """A record is not UTF-8. JSON has no other encoding.
Only this record is rejected. Guessing another encoding would change names silently.
Fix: report it to the system's maker; the byte is named.""",
    "D203": """A record has another shape than the mappings read: a list or a text where an object is declared, or the reverse.
Only this record is rejected, with the field and its raw value.
Example: PHP writes [] for an object that is empty.
Fix: correct the path in the mapping, or the record at its source.""",
    "D204": """A record has the same key twice, and a mapping reads it.
Readers disagree on which of the two counts, so neither does.
Fix: correct it at its source; the key is named.""",
    "D205": """A record holds a number that is none (NaN, Infinity). JSON knows no such thing.
Only this record is rejected.
Fix: correct it at its source; the field is named.""",
    "D206": """A record is larger than what is read.
Only this record is rejected; its first part is kept as raw value.
Fix: look at what fills it, and have it left out at the source.""",
    "D207": """A record was refused by the reader for another reason, which stands in the message.
Only this record is rejected.
Fix: read the message and compare the raw value with what the mapping reads.""",
    "D210": """A segment in the lake cannot be read: the file is damaged or gone.
Its records are not in the warehouse. The run goes on with the other segments and takes this one up when it is there.
Fix: restore the file from a backup of the lake.""",
    "D211": """A segment holds another number of records than its header says.
It was changed after it was written, for nobody writes it twice.
Fix: compare it with a backup of the lake.""",
    "D212": """A segment is no longer what it was when the run staged it, and a later step has to read it again.
That is map in a process of its own, and the gate for the records that were refused.
Fix: restore the file from a backup of the lake, and run the step stage again.""",
    "D220": """The fields that the mappings of a stream read do not fit together: names that differ only in case, or no type.
One column of the run file cannot hold both.
Fix: read one of them, or write the same spelling.""",
    "F101": """A file cannot be opened.
Example: another user owns it, or the path is wrong.
Fix: give us leave to read it, or correct the path.""",
    "F102": """A YAML file is larger than a megabyte.
No mapping is. A file of that size is the wrong one, or made to exhaust the reader.
Fix: look what it is; split it if it is yours.""",
    "F103": """A YAML file is not UTF-8.
Example: an editor saved it as Latin-1.
Fix: save it as UTF-8; the byte that does not belong there is named.""",
    "F104": """A file is not YAML.
Example: a bracket is left open, or a tab indents a line.
Fix: correct it at the line and column that are named.""",
    "F105": """YAML anchors and aliases are not used here.
They hide what a file says, and a few of them can expand into gigabytes.
Example: base: &base and <<: *base.
Fix: write the value out, or use extends.""",
    "F106": """YAML tags and directives are not used here.
They can make a loader build any object.
Example: !!python/object.
Fix: leave it out.""",
    "F107": """A YAML file is nested deeper than anything here is.
Fix: flatten it; forty levels are the limit.""",
    "F108": """A key in a YAML file is a list or a mapping.
Example: ? [a, b] : c.
Fix: write a plain text.""",
    "F109": """A key stands twice in one mapping.
YAML would silently take the last one.
Example: email: at line 4 and at line 9.
Fix: remove one; the line of the first is named.""",
    "F110": """YAML would not read a value as you see it.
NO becomes false, 010 becomes 8, 1:30 becomes 90.
Example: country: NO.
Fix: put it in quotes: country: "NO".""",
    "F111": """A text in a YAML file holds a control character, or half of a character.
Nobody sees it, no system means it, and neither SQL nor JSON can carry every one of them.
Example: name: "a\\0b".
Fix: take it out; a tab or a line break may stay.""",
    "F112": """A YAML file holds more names and values than anybody writes.
Each of them costs memory before anything can be said about it, so the rest is not read.
Example: 16,384 of them are read. Fix: split the file.""",
    "F201": """There is no system of this name in crossdock.yaml.
Example: crossdock run shp.
Fix: take the nearest name; `crossdock systems` lists them.""",
    "F202": """There is no crossdock.yaml in this folder or above it.
Fix: go to your project's folder, set CROSSDOCK_PROJECT, or make a project with `crossdock init DIR`.""",
    "F203": """crossdock.yaml names no systems.
Fix: write systems: with at least one name and its connector.""",
    "F204": """crossdock.yaml has a setting that is not known.
A misspelt setting would silently do nothing.
Example: connecter: sandbox_cart.
Fix: take the nearest name that the finding shows.""",
    "F205": """A system names no connector.
Fix: write connector: and the name of a file under connectors/.""",
    "F206": """A system's name is not made of lower case letters, digits and _.
It is also a folder, a schema and a connection id.
Example: My-Shop.
Fix: write my_shop.""",
    "F207": """A password stands in crossdock.yaml in clear text.
The file is in version control, and so would be the password.
Fix: write ${env:NAME} and set it in the environment, or use AIRFLOW_CONN_<ID>.""",
    "F208": """A go-live is no date.
Example: from: 1.11.2026.
Fix: write YYYY-MM-DD.""",
    "F209": """A system is written to and does not say from when.
Without a go-live the first push would create every old record once more.
Fix: write from: YYYY-MM-DD, the day from which records are created there.""",
    "F210": """crossdock.yaml asks for an environment variable that is not set.
Example: ${env:SHOP_TOKEN}.
Fix: export it, or write a default as ${env:NAME:-value}.""",
    "F211": """Nothing says where a system is.
Fix: set AIRFLOW_CONN_<ID>, or connection.url in crossdock.yaml.""",
    "F212": """AIRFLOW_CONN_<ID> is neither JSON nor an address.
Fix: write {"conn_type": "http", "host": "https://shop.example.com", "password": "…"}.""",
    "F213": """A policy for conflicts is none.
A conflict is a value that the target's own people changed since it was sent, and that a push would change too. `ours` sends
it, `theirs` leaves the target's, `newest` takes the later, `owner` that of the system which `survivorship` names first,
`manual` holds the call for a person. Without a word it is `owner`.
Example: conflicts: {default: owner, customer.tier: manual}""",
    "F214": """A guard is no number, or a share above 1.
A plan that goes beyond a guard waits for a person: `records` (calls), `share` (of the records that the target knows, 0 to 1,
from 100 calls on), `cancels`, `keys` (changes of a key field), `backwards` (a status that would fall back). `false` puts one off.
Example: guards: {records: 5000, share: 0.2, cancels: false}""",
    "F215": """Two systems own one field.
A system whose policy for a field is `theirs` keeps what its own people write. With two of them in one push the field would
stay different for ever, and each run would list the same conflict again.
Do: let survivorship decide for one of them: conflicts: {customer.tier: owner}""",
    "F216": """A retention is no number of days.
After so many days what is superseded leaves the lake; what is newest, not merged or evidence of something open never does.
Example: retention: {days: 400}. Without it everything is kept.""",
    "F217": """A setting of crossdock.yaml is of the wrong shape: a text where a list belongs, a list where a table does.
Nothing is read into it, for `default: erp` would be the three systems e, r and p.
Example: survivorship: {customer: {default: erp}}   Fix: survivorship: {customer: {default: [erp]}}""",
    "F218": """A system's time zone is none.
Days and go-lives of the system are read by its clock, so a wrong zone would move orders from one day to another.
Do: write its name as in the tz database: Europe/Berlin, America/New_York, UTC.""",
    "F219": """survivorship: names an entity, a column or a system, streams: a stream, conflicts: a column, or a reconciliation a
system, that there is not.
The stream would never be pulled; another system's word would count without anybody having decided that; nothing would be compared.
Do: correct the name, or remove it.""",
    "F220": """Files that no run reads: a folder of mappings whose name is nearly a system's, or a file that ends in .yml. (A warning.)
Example: mappings/shpo/orders.yaml, while crossdock.yaml has the system shop.
Do: name the folder as the system, and the file .yaml.""",
    "F221": """A system's currency is not written as ISO 4217 writes it.
Example: currency: Euro   Fix: currency: EUR""",
    "F222": """survivorship: names a column of rows that cannot be won one by one. (A warning.)
Rows of one system are told to be the same as another's by what they are recognised by; lines of an order are, by their article. Others,
as taxes or addresses, hold as a set from the first system that has any.
Example: tax_line: {rate: [erp]}   Fix: tax_line: {default: [erp]}""",
    "F223": """No mapping reads anything of a system. (A warning.)
What is pulled of it is kept in the lake and goes no further: the warehouse hears nothing of it. The folder of its mappings has the
system's name; one that was renamed in crossdock.yaml has none any more, and its records are known by the old name.
Fix: crossdock new mapping SYSTEM/STREAM writes a draft; or give the system its name back.""",
    "F224": """Mappings of several systems read one entity, and nothing says whose word counts. (A warning.)
It would be that of the system whose name comes first: a CRM's "OK" outlived the block of the ERP, because c comes before e.
Example: mappings of crm and erp read account_credit.   Fix: survivorship: {account_credit: {default: [erp, crm]}}""",
    "F230": """unmask: is no list of users.
Those who may see personal values (`--unmask`) stand there by their login names; without it whoever can read the stores may.
Do: unmask: [ann, bob], or unmask: [] for nobody.""",
    "F240": """A file or folder of the project, its lake, its ledger or its warehouse, cannot be read or written.
Nothing is lost by that: a run that ended so is taken up by the next, where it stood.
Do: make room on the disk, or let the user that runs crossdock write there; then run it again.""",
    "F301": """There is no connector of this name: no such file in the project's connectors/ or among the built-in ones.
Example: connector: sandbox_kart.
Fix: take the nearest name that the message shows, or write the file.""",
    "F302": """A connector's file does not hold exactly one Connector class.
The file's name is the connector's name, so there can be only one.
Fix: write one class a file; what several share belongs into a module of its own.""",
    "F303": """A connector's file cannot be imported.
The error is the file's own; its place is named. Systems with other connectors go on.
Example: SyntaxError at my_shop.py:12.
Fix: correct it there.""",
    "F304": """A connector's class and its file have different names.
One name everywhere: module = connector.
Example: name = "shop" in my_shop.py.
Fix: write name = "my_shop".""",
}
