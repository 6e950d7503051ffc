"""What the codes of the flow mean: P for plan, apply, the ledger's locks and the commands around them, Q311 for how a run ends."""

from __future__ import annotations

CODES: dict[str, str] = {
    "P101": """Nothing has been published yet.
A plan is computed from the published snapshot, so that it never waits for the warehouse's writer.
Do: crossdock run (or merge at least one system), then crossdock publish.""",
    "P102": """A mapping of the target is not right.
A push from a half-read mapping could write wrong values into somebody's system, so nothing is planned for this target.
Do: crossdock lint shows every finding with line and column; correct them and plan again.""",
    "P103": """The target is read only.
A system is read only until crossdock.yaml says `write: true` and from which day (`from: 2026-11-01`) records are created.
Do: add both to the system when it may be written; the first plan then still waits for a person.""",
    "P104": """A mapping wants a call that the connector cannot make.
Example: `operation: cancel` in a stream whose connector only writes create and change. Such calls are left out of the plan.
Do: take the push out of the mapping, or add the operation to the stream's `writes` and to the connector's push.""",
    "P105": """Two pushes cannot be told apart.
The ledger knows a call by target, stream, entity, record and operation. Two mappings that both change the same entity in
the same stream would overwrite each other's memory of what was sent.
Do: write both as one push, or give one of them another operation.""",
    "P106": """The SQL of a push does not run on the snapshot.
The snapshot may be older than the mapping (a new entity or column), or the mapping uses what the model does not have.
Do: crossdock publish; then crossdock compile SYSTEM/MAPPING shows the SQL, and --json the engineer's detail.""",
    "P107": """There is no plan with this id, or the beginning that was given fits several.
Do: crossdock plan TARGET computes one and prints its id; plans are kept for a week after they expired.""",
    "P108": """The plan's file was changed after it was made.
A plan's id is the digest of its calls: what was looked at is what is sent, and nothing else.
Do: crossdock plan TARGET makes a new one.""",
    "P109": """The target was never read.
A plan compares what the target should know with what it has. Before its own records were merged once, every record would
look as if the target lacked it, and a plan would create what is there already. So nothing is planned for it.
Do: crossdock run TARGET; in Airflow the push is planned anew when sync_TARGET has merged.""",
    "P110": """The ledger has forgotten what the snapshot knows to have been sent: it is an older one, or of another project.
With it calls would be made a second time, and nobody would look for the answers that are missing.
Do: restore the newest backup of the ledger that there is.""",
    "P201": """The plan has expired.
A plan holds for 24 hours: what it shows was true when it was made.
Do: crossdock plan TARGET.""",
    "P202": """The first plan for a target waits for a person.
The first push shows every misunderstanding of a mapping at once, so no automatic run makes it.
Do: read the plan (crossdock plan TARGET), then crossdock apply ID: applying by hand is approving it.""",
    "P203": """The target gave no answer to several calls in a row and was left alone.
The calls that were made have their intents in the ledger: the next push looks each of them up before anything is repeated.
Do: see whether the system is up (crossdock check SYSTEM) and push again.""",
    "P204": """A connector failed in a way of its own while it pushed.
This is a defect in the connector, not in the data: it raised something that is no crossdock error, or gave something else
than one Outcome for each change. What happened to the calls is not known; they stay open and are looked up.
Do: correct the connector; its detail names the file and line.""",
    "P206": """A call was refused, not supported, left without an answer, or skipped because something it depends on failed.
A refusal for a reason in the data is not repeated until the payload changes: correct the record or the mapping, and it is
planned anew. Where the reason lay elsewhere (the customer was blocked): crossdock plan TARGET --retry KEY.
Do: crossdock trace ENTITY KEY shows what was sent and what the target said.""",
    "P208": """An open call could not be closed by hand.
Only a call that got no answer is told what became of it: it happened, and then the target's id of the record is needed, or
it never did.
Do: crossdock plan TARGET lists what is held, with the call's number; crossdock settle CALL --happened ID, or --never.""",
    "P209": """A plan goes beyond a guard and waits for a person.
A bad mapping shows itself in numbers: a plan of more calls than are usual, for too large a part of what the target knows,
with a record that is cancelled or archived, with a key field that changes, or with a status that falls back from shipped to processing.
Do: read the plan (crossdock plan TARGET), then crossdock apply ID; or set the limit in crossdock.yaml:
guards: {records: 5000, share: 0.2, cancels: 50, keys: 0, backwards: 0}, with false for none.""",
    "P210": """There is nothing to take back.
A plan is taken back by its id, or a run by its own: whole, as the ledger knows them. Only calls that the target took can be.
Do: crossdock query "select distinct plan_id, target from push.log" lists what was sent.""",
    "P212": """A system refused our credentials, and its connection is left alone since.
Trying again and again would lock the user out, and every attempt would be one more alert about the same thing. The other
systems go on. One attempt is made an hour; it ends by itself when login, password or url of the connection are others.
Do: correct them, or, where the system has changed its mind: crossdock resume SYSTEM.""",
    "P213": """The target refused our credentials in the middle of a push. No other call was made; what was not sent is planned again.
Do: correct login and password of the connection (AIRFLOW_CONN_<ID>, or the environment that crossdock.yaml names).""",
    "P214": """No run of a system was merged for longer than `crossdock status --max-age` allows.
The scheduler may be down, the DAG paused, or each run may fail; what the system says has not reached the warehouse since then.
Do: look at the DAG sync_SYSTEM in Airflow, or let crossdock run SYSTEM say why.""",
    "P215": """Nobody can find out whether a call happened: no answer came, and the target offers no way to look for the record.
Sending it again could do it twice, so it is held, and what depends on it waits.
Do: look in the target; then crossdock settle CALL --happened ID, or --never. crossdock plan TARGET lists the calls with their numbers.""",
    "P301": """Another process pushes to this target.
Two at once could send a record twice or in the wrong order, so one holds a lock while it works.
Do: wait until it has finished. If it died on this machine the lock is taken over at once, else after ten minutes.""",
    "P302": """This process has lost its lock to another one.
It was silent for too long (a suspended machine, a call without an end), so that another took over. What it wanted to write
was refused, for the other may have done the same in the meantime.
Do: nothing; what it left open is looked up by the next push.""",
    "P401": """There is no such entity.
Do: crossdock trace ENTITY KEY takes a canonical entity: customer, sales_order, product.""",
    "P402": """You may not see personal values.
crossdock.yaml names in `unmask:` who may (login names); `unmask: []` is nobody. Who asks is kept in data/unmasked.ndjson, whatever the answer.
Do: leave out --unmask, or ask those who keep crossdock.yaml.""",
    "P403": """That somebody asks to see personal values cannot be kept, so they are not shown.
Do: leave out --unmask, or let the user write into the data folder.""",
    "P404": """The entity has no such field.
Do: crossdock trace ENTITY KEY --field NAME takes a column of the canonical entity, or ENTITY.NAME of its rows (order_line.sku); the
message lists them.""",
    "P501": """This is no run id.
A run's id begins with the instant at which it started, as in 20261120T120000000000-cart-1f2e3d.
Do: take it from the list of runs: crossdock query "select run_id from ops.runs".""",
    "P502": """There is no code of this name.
Do: codes are a letter and three digits, as they stand in a finding: crossdock explain M104.""",
    "P503": """`crossdock demo` was run in a project that has no sandbox systems.
The demo works on the repository's own crossdock.yaml: it starts a small ERP, cart and CRM and writes to them.
Run it in the repository, or `crossdock run` in your project.""",
    "P504": """`crossdock init` was given a folder that holds a project already; nothing was changed there.
Choose a new folder, or edit the crossdock.yaml that is there.""",
    "P505": """`crossdock run --step` names a step that there is not.
The steps are pull, stage, map, gate, merge, reconcile and push: the first five stop after themselves, the others run alone.
Example: crossdock run cart --step map""",
    "P506": """There is no reconciliation of that name.
They are the files `quality/reconcile/<name>.yaml` of the project and of crossdock itself.
Example: crossdock reconcile orders""",
    "P507": """`crossdock lint` was given a file or folder that is not there.
Give a mapping file, a folder, or nothing for the whole project.""",
    "P508": """`crossdock run --every` was given no system, or several, or `--step` or `--max-pages` with it.
It pulls and merges one system again and again in one process; a process for each follows several.
Example: crossdock run cart --every 10""",
    "P509": """`crossdock rebuild` found no merge in the ledger's journal, so there is nothing to replay.
Either nothing was ever merged, or crossdock.yaml names another ledger than the one that was used.
Run `crossdock run` for a first merge, or correct `ledger:`.""",
    "P545": """`crossdock rebuild` would have to merge segments that the lake no longer has; the warehouse stays as it is.
`crossdock retain` removes old versions of records. Without them the history would be shorter, and records that were first seen
there would get other hub ids than the targets were told.
Do: restore the warehouse from a backup; a rebuild is possible as long as nothing was removed.""",
    "P546": """`crossdock rebuild` would have to merge segments that cannot be read, or not to their end; the warehouse stays as it is.
Without their records it would be another one, and nobody would miss them.
Do: put the segment back from a backup of the lake, and rebuild again. Where the warehouse is whole, it needs no rebuild.""",
    "P535": """Rules were to be compared of an entity that there is not.
`crossdock diff quality/ENTITY` compares the rules in quality/ENTITY.yaml with those of a revision, over all that becomes such
an entity.
Do: take the nearest name; warehouse/model.py lists them all.""",
    "P536": """Nothing in quarantine has this name.
A record is named by its id in its system, or by segment:line where it could not be read; a group by its cause, eight letters
and digits. What has passed meanwhile has closed itself and is no longer there.
Do: crossdock quarantine list shows the causes, list --all every record.""",
    "P537": """A case was to be dismissed without a reason or a name.
A dismissal is kept for those who ask later why a record never arrived.
Do: crossdock quarantine dismiss NAME --reason 'a test order' --by ann""",
    "P538": """Records were to be judged again whose whole batch waits.
Their gate is closed: none of the batch was merged, and all of it comes again with the next run of the system.
Do: correct what closed the gate, then crossdock run SYSTEM.""",
    "P539": """An export was to be written to a file of another kind.
The name says what is written: .csv for a spreadsheet, .ndjson or .jsonl for one JSON object a line.
Do: crossdock quarantine export waiting.csv""",
    "P540": """`crossdock schema` was given a kind of file that there is not.
There are mapping, tests, values, quality, reconcile and crossdock (the project's own file).
Example: crossdock schema mapping""",
    "P541": """The records for a draft cannot be read.
A draft is made from what a system really sends: one record as JSON, a list, an answer with a list in it, or a record a line.
Of CSV and XML, pull first and leave --from out: in the lake every record is JSON.
Example: crossdock new mapping shop/customers --from customers.json --to customer""",
    "P542": """`crossdock new` was told to write a file that is there already; it was not touched.
Choose another name (shop/customers.address reads the same stream), or edit the file that is there.""",
    "P510": """`crossdock test --junit` was given a file that cannot be written.
Do: name a file in a folder that you may write, as in --junit build/examples.xml""",
    "P511": """`crossdock test --capture` found no record, or several, by the id that was given.
It is the record's id in its system, as `crossdock quarantine list` and `crossdock trace` show it, of what was published last.
Do: crossdock test --capture 501 --mapping cart/orders says of which mapping it is.""",
    "P512": """`crossdock test --capture` cannot read the record in the lake, or its mapping's file of tests cannot be written.
A line that is no JSON never reached a mapping, so there is nothing to test; a segment may be gone by retention.
Do: crossdock quarantine show KEY says why the record waits; mend the file of tests with crossdock lint.""",
    "P513": """Examples cannot be measured while one of them does not hold: every mistake would look as if it were noticed.
Do: crossdock test shows what does not hold; mend the mapping or the example, then measure again.""",
    "P514": """`crossdock rebuild --forward` cannot go on from this warehouse: it has not the first of the ledger's merges.
It is of another project, or was made while the ledger was away.
Do: crossdock rebuild makes it anew from the lake and the ledger.""",
    "P520": """There is nothing to preview: the lake holds no record of the stream.
`crossdock preview` shows what a mapping makes of real records, the newest of the lake unless others are given.
Do: crossdock run SYSTEM --step pull; or give records of your own: crossdock preview cart/orders --from orders.json""",
    "P521": """The records to preview cannot be read.
A file (or stdin, with -) holds a JSON array, one object, one record a line, or a page as the system sends it.
Example: curl … | crossdock preview cart/orders --from -""",
    "P522": """The mapping reads nothing: it has only a `push:`, and a preview is of the way in.
Do: preview a mapping with `key:` and `fields:`; crossdock plan TARGET shows what would be sent.""",
    "P523": """The mapping has no field of that name to explain.
A child's field is named with its entity: crossdock preview cart/orders --field order_line.quantity. `key` and `when` can be
explained too.""",
    "P530": """The mappings as they were cannot be found.
`crossdock diff` compares with a git revision of the project's mapping files, HEAD unless another is named, or with a folder.
Do: name a commit, branch or tag that git knows here; or --against FOLDER, a folder with a folder a system in it.""",
    "P531": """There is no mapping of that name that reads, neither now nor in the revision that is compared with.
Do: crossdock diff cart/orders compares all mappings of that one's stream, crossdock diff cart those of the whole system.""",
    "P532": """The mappings of the revision that is compared with are not right, so that nobody knows what they would make.
Do: compare with a revision whose `crossdock lint` was clean: crossdock diff cart/orders --against v1.4""",
    "P533": """There is nothing to replay: no segment of the stream was merged (since the day that was named).
A replay maps again what was merged before; what is new in the lake is the next run's.
Do: crossdock run SYSTEM, or an earlier --since.""",
    "P534": """`--since` is no day and no instant.
Example: crossdock replay cart/orders --since 2026-11-01, its beginning in UTC; or --since 2026-11-01T12:00:00+01:00""",
    "Q311": """The gate of a system is closed, so rows of its last run are held: they are not in the warehouse.
What passed is merged. The run in Airflow fails, so that somebody looks: a green one would be believed.
Example: customer: closed, 300 rows held; Q301 more than 20% of the rows failed.
Fix: the log of the task gate names the rule (Q301 to Q309); mend the mapping, the data or the rule. The rows come again by themselves.""",
}
