-- The journal: runs, each with its plan inside, and their entries.
--
-- Rows are only ever added. Closing a run is an entry too, and what a run's
-- status is follows from its entries; nothing here is a state that could go stale.

-- "IrMg": what tells a journal of ours from any other SQLite file.
PRAGMA application_id = 1232227687;
-- The newest migration that the file has seen: a newer one than ours is refused.
PRAGMA user_version = 1;

-- A run is the one carrying-out of one plan.
CREATE TABLE run (
    run_id      TEXT NOT NULL PRIMARY KEY CHECK (length(run_id) = 12 AND run_id NOT GLOB '*[^0-9a-f]*'),
    plan_digest TEXT NOT NULL UNIQUE CHECK (length(plan_digest) = 64 AND plan_digest NOT GLOB '*[^0-9a-f]*'),
    plan        TEXT NOT NULL CHECK (json_valid(plan)),
    reverts     TEXT REFERENCES run (run_id),
    actor       TEXT NOT NULL,
    tool        TEXT NOT NULL,
    opened_at   TEXT NOT NULL
) STRICT;

-- An entry is one thing that happened to a run, a wave, a unit or a step.
CREATE TABLE entry (
    run_id TEXT    NOT NULL REFERENCES run (run_id),
    seq    INTEGER NOT NULL CHECK (seq >= 1),
    at     TEXT    NOT NULL,
    scope  TEXT    NOT NULL CHECK (scope = 'run' OR scope GLOB 'wave:?*' OR scope GLOB 'unit:?*' OR scope GLOB 'step:[0-9]*:?*'),
    event  TEXT    NOT NULL CHECK (event IN (
        'started', 'sending', 'succeeded', 'failed', 'refused', 'unneeded', 'paused', 'pause-asked', 'undone', 'closed'
    )),
    detail TEXT,
    PRIMARY KEY (run_id, seq)
) STRICT, WITHOUT ROWID;

-- A run that has ended: nothing more will be done in it.
CREATE VIEW closed_run AS SELECT DISTINCT run_id FROM entry WHERE scope = 'run' AND event = 'closed';

-- The clusters of a run: while it is open, no other run may have them, but the one that reverts it.
CREATE TABLE run_cluster (
    run_id  TEXT NOT NULL REFERENCES run (run_id),
    cluster TEXT NOT NULL,
    UNIQUE (run_id, cluster)
) STRICT;
CREATE INDEX run_cluster_by_cluster ON run_cluster (cluster);

CREATE TRIGGER one_open_run_of_a_cluster BEFORE INSERT ON run_cluster
WHEN EXISTS (
    SELECT 1 FROM run_cluster other
    WHERE other.cluster = NEW.cluster AND other.run_id <> NEW.run_id
      AND other.run_id NOT IN (SELECT run_id FROM closed_run)
      AND other.run_id IS NOT (SELECT reverts FROM run WHERE run_id = NEW.run_id)
)
BEGIN SELECT RAISE (ABORT, 'another run is open over this cluster'); END;

-- A place that is taken is refused by the primary key; one that leaves a gap, here.
CREATE TRIGGER entries_have_no_gap BEFORE INSERT ON entry
WHEN NEW.seq > 1 + (SELECT coalesce(max(seq), 0) FROM entry WHERE run_id = NEW.run_id)
BEGIN SELECT RAISE (ABORT, 'an entry is missing before this one'); END;

CREATE TRIGGER run_is_never_updated BEFORE UPDATE ON run
BEGIN SELECT RAISE (ABORT, 'the journal is append-only'); END;
CREATE TRIGGER run_is_never_deleted BEFORE DELETE ON run
BEGIN SELECT RAISE (ABORT, 'the journal is append-only'); END;
CREATE TRIGGER run_cluster_is_never_updated BEFORE UPDATE ON run_cluster
BEGIN SELECT RAISE (ABORT, 'the journal is append-only'); END;
CREATE TRIGGER run_cluster_is_never_deleted BEFORE DELETE ON run_cluster
BEGIN SELECT RAISE (ABORT, 'the journal is append-only'); END;
CREATE TRIGGER entry_is_never_updated BEFORE UPDATE ON entry
BEGIN SELECT RAISE (ABORT, 'the journal is append-only'); END;
CREATE TRIGGER entry_is_never_deleted BEFORE DELETE ON entry
BEGIN SELECT RAISE (ABORT, 'the journal is append-only'); END;
