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
    "marts": "Views for analysts",
}

# schema.table → (comment, a column a line)
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
    "quality.quarantine": (
        "Rejected and quarantined records; open until a later version passes",
        """
        case_key UBIGINT
        system VARCHAR
        entity VARCHAR
        source_id VARCHAR
        stream VARCHAR
        mapping VARCHAR
        segment VARCHAR
        line BIGINT
        sequence BIGINT
        code VARCHAR
        rule VARCHAR
        field VARCHAR
        message VARCHAR
        raw VARCHAR
        first_seen TIMESTAMP WITH TIME ZONE
        last_seen TIMESTAMP WITH TIME ZONE
        count BIGINT
        run_id VARCHAR
        closed_at TIMESTAMP WITH TIME ZONE
        """,
    ),
    "quality.findings": (
        "What warnings say of the newest merged version of a record",
        """
        system VARCHAR
        entity VARCHAR
        source_id VARCHAR
        rule VARCHAR
        code VARCHAR
        severity VARCHAR
        field VARCHAR
        message VARCHAR
        raw VARCHAR
        run_id VARCHAR
        seen_at TIMESTAMP WITH TIME ZONE
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
        decided_at TIMESTAMP WITH TIME ZONE
        """,
    ),
    "push.log": (
        "Every outcome of a push, as the ledger has it",
        """
        seq BIGINT
        intent_id BIGINT
        target VARCHAR
        stream VARCHAR
        entity VARCHAR
        hub_id BIGINT
        operation VARCHAR
        key VARCHAR
        status VARCHAR
        external_id VARCHAR
        message VARCHAR
        request_id VARCHAR
        fingerprint VARCHAR
        plan_id VARCHAR
        run_id VARCHAR
        answered_at TIMESTAMP WITH TIME ZONE
        duration DOUBLE
        """,
    ),
    "push.state": (
        "The newest outcome of each record and operation at each target",
        """
        target VARCHAR
        stream VARCHAR
        entity VARCHAR
        hub_id BIGINT
        operation VARCHAR
        key VARCHAR
        status VARCHAR
        external_id VARCHAR
        fingerprint VARCHAR
        seq BIGINT
        answered_at TIMESTAMP WITH TIME ZONE
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
}
