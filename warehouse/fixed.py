"""The schemas, tables and views of the warehouse that do not depend on the model."""

from __future__ import annotations

SCHEMAS: dict[str, str] = {
    "source": "What each system says: one row a system and id",
    "previous": "The last complete version of a source row whose newest version waits for a reference",
    "canonical": "What holds: one row a hub_id, won field by field from the systems",
    "history": "Closed versions of canonical rows",
    "quality": "Quarantine, findings, verdicts",
    "recon": "Reconciliation: runs and breaks",
    "push": "What was sent, folded from the ledger",
    "ops": "Runs, positions, bindings, counts",
    "marts": "Views for analysts: what they ask, with what is easily got wrong already done",
    "versions": "Views for analysts: what holds and what held, together",
}

# schema.table → (comment, a column a line: name, type, and for analysts what it holds)
FIXED: dict[str, tuple[str, str]] = {
    "ops.bindings": (
        "The tie between a system's id and the hub's; the rows of children carry theirs themselves",
        """
        key UBIGINT
        entity VARCHAR
        system VARCHAR
        source_id VARCHAR
        hub_id BIGINT
        origin VARCHAR
        bound_at TIMESTAMP WITH TIME ZONE
        """,
    ),
    "ops.hub_ids": (
        "The last hub_id given to each entity",
        """
        entity VARCHAR
        last BIGINT
        """,
    ),
    "ops.merged_hubs": (
        "Hub ids that turned out to be another one's: bindings and references follow",
        """
        entity VARCHAR
        hub_id BIGINT
        into_hub_id BIGINT
        run_id VARCHAR
        merged_at TIMESTAMP WITH TIME ZONE
        """,
    ),
    "ops.segments": (
        "Segments whose records are merged",
        """
        system VARCHAR
        stream VARCHAR
        segment VARCHAR
        seq BIGINT
        run_id VARCHAR
        merged_at TIMESTAMP WITH TIME ZONE
        """,
    ),
    "ops.runs": (
        "Merged runs",
        """
        run_id VARCHAR
        system VARCHAR
        started_at TIMESTAMP WITH TIME ZONE
        finished_at TIMESTAMP WITH TIME ZONE
        status VARCHAR
        outcome VARCHAR
        counts JSON
        mapping_hash VARCHAR
        """,
    ),
    "ops.positions": (
        "Named positions, e.g. ledger_seq",
        """
        name VARCHAR
        value VARCHAR
        """,
    ),
    "ops.counts": (
        "What became of each run's records",
        """
        run_id VARCHAR
        system VARCHAR
        stream VARCHAR
        mapping VARCHAR
        entity VARCHAR
        state VARCHAR
        n BIGINT
        """,
    ),
    "ops.earlier_pulls": (
        "Where the versions of a source row stand in the lake that a later one replaced, or the same one mapped otherwise",
        """
        entity VARCHAR
        system VARCHAR
        source_id VARCHAR
        mapping VARCHAR
        segment VARCHAR
        line BIGINT
        run_id VARCHAR
        seen_at TIMESTAMP WITH TIME ZONE
        """,
    ),
    "ops.mappings": (
        "The versions of each mapping that rows were made with, counted from 1",
        """
        mapping VARCHAR
        version BIGINT
        hash VARCHAR
        since TIMESTAMP WITH TIME ZONE
        """,
    ),
    "ops.shapes": (
        "Which fields the raw records of each stream have, of which kinds, by samples",
        """
        system VARCHAR
        stream VARCHAR
        path VARCHAR
        kind VARCHAR
        seen BIGINT
        records BIGINT
        first_seen TIMESTAMP WITH TIME ZONE
        last_seen TIMESTAMP WITH TIME ZONE
        """,
    ),
    "quality.quarantine": (
        "Rejected and quarantined records, one row a reason; open until a later version passes or a person dismisses it",
        """
        case_key UBIGINT -- hash of what tells one case from another: record, code, rule and field
        cause VARCHAR -- which group it belongs to: system, entity, field, rule, code and the shape of the value
        system VARCHAR -- whose record it is
        entity VARCHAR -- the canonical entity that it would have become
        source_id VARCHAR -- the system's own id; NULL where the record could not be read
        stream VARCHAR -- which stream it came in
        mapping VARCHAR -- the mapping that read it
        mapping_version BIGINT -- which version of the mapping that was (ops.mappings)
        mapping_hash VARCHAR -- SHA-256, shortened, of the SQL that the mapping compiled to
        segment VARCHAR -- where the raw record is, in the lake
        line BIGINT -- its 1-based line there
        sequence BIGINT -- sequence of that segment in its stream
        content VARCHAR -- digest of what the mappings read of the raw record
        code VARCHAR -- crossdock explain says what it means
        rule VARCHAR -- the rule that it broke
        field VARCHAR -- the field that is named
        message VARCHAR -- what has to hold, for people
        raw VARCHAR -- what stood there instead; may be personal
        first_seen TIMESTAMP WITH TIME ZONE -- start of the run that saw it first
        last_seen TIMESTAMP WITH TIME ZONE -- start of the run that saw it last in a version of its own
        count BIGINT -- in how many versions of the record it was seen
        run_id VARCHAR -- the run that saw it last
        closed_at TIMESTAMP WITH TIME ZONE -- when the record passed; NULL while it waits
        dismissed_at TIMESTAMP WITH TIME ZONE -- when a person said that it may stay as it is
        dismissed_by VARCHAR -- who said so
        dismissed_reason VARCHAR -- and why; all three are NULL again when the record's content changes
        """,
    ),
    "quality.findings": (
        "What warnings say of the newest merged version of a record, of a whole batch, or of the fields of a stream",
        """
        system VARCHAR -- whose record or stream it is
        entity VARCHAR -- the canonical entity; the stream, for a finding about raw fields
        source_id VARCHAR -- the system's own id; NULL where a batch or a stream is meant
        rule VARCHAR -- the rule that it broke
        code VARCHAR -- crossdock explain says what it means
        severity VARCHAR -- warn: it was merged all the same
        field VARCHAR -- the field, or the path of a raw field
        message VARCHAR -- what has to hold, for people
        raw VARCHAR -- what stood there instead; may be personal
        run_id VARCHAR -- the run that found it first
        seen_at TIMESTAMP WITH TIME ZONE -- since when: start of that run
        """,
    ),
    "quality.profiles": (
        "How often each value came in each run, of the columns that a rule compares with what is usual",
        """
        run_id VARCHAR -- the run that counted
        system VARCHAR -- whose records
        entity VARCHAR -- the canonical entity
        field VARCHAR -- the column
        item VARCHAR -- the value; empty where it is missing
        n BIGINT -- rows
        """,
    ),
    "quality.verdicts": (
        "What each rule of the gate decided in each run",
        """
        run_id VARCHAR
        system VARCHAR
        entity VARCHAR
        rule VARCHAR
        code VARCHAR
        severity VARCHAR
        checked BIGINT
        failed BIGINT
        threshold DOUBLE
        closed BOOLEAN
        why VARCHAR
        decided_at TIMESTAMP WITH TIME ZONE
        """,
    ),
    "quality.results": (
        "What Great Expectations said of each run",
        """
        run_id VARCHAR
        system VARCHAR
        suite VARCHAR
        success BOOLEAN
        json VARCHAR
        page VARCHAR -- its page, in data_docs/<system> beside the published snapshot; NULL for a table without rows
        decided_at TIMESTAMP WITH TIME ZONE
        """,
    ),
    "push.log": (
        "Every outcome of a push, as the ledger has it",
        """
        seq BIGINT -- rises with the outcomes: the order in which they were written
        intent_id BIGINT -- the call; an outcome of unknown and the one that settles it have the same
        target VARCHAR -- the system that was told
        stream VARCHAR -- which of its streams
        entity VARCHAR -- the canonical entity of the record
        hub_id BIGINT -- its id in the hub
        operation VARCHAR -- create, change, upsert, cancel, fulfil
        key VARCHAR -- the record's business key, by which the target is asked for it
        status VARCHAR -- applied, rejected, unsupported, pending (accepted, asked again later), unknown (no answer)
        external_id VARCHAR -- the target's id of the record
        message VARCHAR -- what the target said
        request_id VARCHAR -- the target's own id of the call, where it gives one
        fingerprint VARCHAR -- SHA-256 of the payload as it was sent
        plan_id VARCHAR -- the plan that showed the call
        run_id VARCHAR -- the run that made the call, by which it can be taken back; NULL where that was not kept yet
        answered_at TIMESTAMP WITH TIME ZONE -- when the outcome was known
        duration DOUBLE -- seconds until the answer
        fields VARCHAR[] -- the places of the payload that the call was about, by name
        """,
    ),
    "push.state": (
        "The newest outcome of each record and operation at each target",
        """
        target VARCHAR -- the system that was told
        stream VARCHAR -- which of its streams
        entity VARCHAR -- the canonical entity of the record
        hub_id BIGINT -- its id in the hub
        operation VARCHAR -- create, change, upsert, cancel, fulfil
        key VARCHAR -- the record's business key
        status VARCHAR -- what became of the newest call: applied, rejected, unsupported, pending, unknown
        external_id VARCHAR -- the target's id of the record
        message VARCHAR -- what the target said
        fingerprint VARCHAR -- SHA-256 of the payload that was sent last
        run_id VARCHAR -- the run that made the call, by which it can be taken back; NULL where that was not kept yet
        seq BIGINT -- the outcome in push.log
        answered_at TIMESTAMP WITH TIME ZONE -- when it was known
        """,
    ),
}

# Views over the tables above; replaced by every migration.
VIEWS: dict[str, str] = {
    "ops.count_law": """
        WITH counted AS (
            SELECT run_id, system, stream, mapping, entity, state, sum(n) AS n FROM ops.counts GROUP BY ALL
        ), streams AS (
            SELECT run_id, system, stream,
                   coalesce(sum(n) FILTER (state = 'read'), 0) AS read,
                   coalesce(sum(n) FILTER (state = 'duplicates'), 0) AS duplicates,
                   coalesce(sum(n) FILTER (state = 'staged'), 0) AS staged,
                   coalesce(sum(n) FILTER (state = 'rejected'), 0) AS unreadable
            FROM counted WHERE mapping IS NULL GROUP BY ALL
        ), mappings AS (
            SELECT run_id, system, stream, mapping, entity,
                   sum(n) FILTER (state = 'staged') AS staged,
                   coalesce(sum(n) FILTER (state = 'rejected'), 0) AS rejected,
                   coalesce(sum(n) FILTER (state = 'excluded'), 0) AS excluded,
                   coalesce(sum(n) FILTER (state = 'mapped'), 0) AS mapped,
                   coalesce(sum(n) FILTER (state IN ('passed', 'waiting', 'quarantined', 'held', 'superseded')), 0)
                       AS became
            FROM counted WHERE mapping IS NOT NULL GROUP BY ALL
        ), laws AS (
            SELECT run_id, system, stream, NULL AS mapping, NULL AS entity, 'read = duplicates + staged' AS law,
                   read AS left_side, duplicates + staged AS right_side
            FROM streams
            UNION ALL
            SELECT m.run_id, m.system, m.stream, m.mapping, m.entity, 'staged = rejected + excluded + mapped',
                   coalesce(m.staged, s.staged - s.unreadable), m.rejected + m.excluded + m.mapped
            FROM mappings m JOIN streams s USING (run_id, system, stream)
            UNION ALL
            SELECT run_id, system, stream, mapping, entity,
                   'mapped = passed + waiting + quarantined + held + superseded', mapped, became
            FROM mappings
        )
        SELECT *, left_side = right_side AS holds FROM laws""",
    "quality.open_cases": """
        SELECT q.*, b.hub_id FROM quality.quarantine q
        LEFT JOIN ops.bindings b ON b.entity = q.entity AND b.system = q.system AND b.source_id = q.source_id
        WHERE q.closed_at IS NULL""",
    "quality.causes": """
        SELECT cause, system, entity, field, rule, code, min(message) AS message, count(*) AS records,
               count(*) FILTER (dismissed_at IS NOT NULL) AS dismissed, list(source_id ORDER BY source_id)[1:3] AS examples,
               min(first_seen) AS first_seen, max(last_seen) AS last_seen
        FROM quality.quarantine WHERE closed_at IS NULL GROUP BY ALL""",
}

# view → (comment, what its columns hold where it is not what the column of that name holds in quality.quarantine)
VIEW_COMMENTS: dict[str, tuple[str, dict[str, str]]] = {
    "ops.count_law": ("The count law of each run, stream and mapping: both sides, and whether they are equal", {}),
    "ops.waiting": (
        "Records that wait for a reference: merged as their system's word, and not yet part of the canonical ones",
        {},
    ),
    "quality.open_cases": (
        "The cases of quality.quarantine that are still open, dismissed ones included",
        {"hub_id": "the hub's id of the record; NULL while no version of it was merged"},
    ),
    "quality.causes": (
        "What is wrong, and with how many records: the open cases by cause",
        {
            "message": "what has to hold, for people; one of them",
            "records": "how many cases are open",
            "dismissed": "how many of them a person dismissed",
            "examples": "up to three ids of the system's own",
            "first_seen": "start of the run that saw the first of them first",
            "last_seen": "start of the run that saw one of them last in a version of its own",
        },
    ),
}
