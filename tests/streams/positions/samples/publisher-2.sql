BEGIN TRANSACTION;
CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO "counters" VALUES('dead_letters',2);
INSERT INTO "counters" VALUES('errors',3);
INSERT INTO "counters" VALUES('published',44);
CREATE TABLE dead_letters (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    stream TEXT NOT NULL,
    spool_id TEXT NOT NULL,
    seq INTEGER NOT NULL,
    key BLOB NOT NULL,
    value BLOB NOT NULL,
    schema TEXT NOT NULL,
    reason TEXT NOT NULL,
    at REAL NOT NULL,
    passed INTEGER NOT NULL DEFAULT 0,
    UNIQUE (spool_id, seq)
);
INSERT INTO "dead_letters" VALUES(1,'comments','aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa',5,X'74315F35',X'7B226E223A357D','reddit.comment.v1','MSG_SIZE_TOO_LARGE: too large',1700000000.0,1);
INSERT INTO "dead_letters" VALUES(2,'comments','aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa',38,X'74315F3338',X'7B226E223A33387D','reddit.comment.v1','MSG_SIZE_TOO_LARGE: too large',1700000000.0,1);
INSERT INTO "dead_letters" VALUES(3,'comments','aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa',41,X'74315F3431',X'7B226E223A34317D','reddit.comment.v1','MSG_SIZE_TOO_LARGE: too large',1700000000.0,0);
CREATE TABLE dropped_letters (spool_id TEXT PRIMARY KEY, number INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO "dropped_letters" VALUES('aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa',1);
CREATE TABLE identity (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
INSERT INTO "identity" VALUES('deployment','dddddddddddddddddddddddddddddddd');
INSERT INTO "identity" VALUES('resends','a69a48dfa2e649e8be15aaf69b9e3d8e');
INSERT INTO "identity" VALUES('saves','1');
CREATE TABLE positions (
    spool_id TEXT PRIMARY KEY,
    stream TEXT NOT NULL,
    seq INTEGER NOT NULL,
    at REAL NOT NULL
) WITHOUT ROWID;
INSERT INTO "positions" VALUES('aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa','comments',40,1700000000.0);
INSERT INTO "positions" VALUES('bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb','submissions',7,1700000000.0);
CREATE TABLE resends (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    letter INTEGER NOT NULL UNIQUE
);
INSERT INTO "resends" VALUES(1,2);
CREATE TABLE spool_states (
    stream TEXT NOT NULL,
    spool_id TEXT NOT NULL,
    commits INTEGER NOT NULL,          -- of the spool at that moment
    state TEXT NOT NULL,
    at REAL NOT NULL,
    PRIMARY KEY (stream, spool_id)
) WITHOUT ROWID
;
INSERT INTO "spool_states" VALUES('comments','aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa',12,'{"spool_id": "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "commits": 12, "last_seq": 40, "cursor": {"proven_until": "{\"bitcoin\": 1699999990.0}", "epoch": "2"}, "gaps": []}',1700000000.0);
CREATE TABLE topic_ends (spool_id TEXT PRIMARY KEY, ends TEXT NOT NULL, at REAL NOT NULL) WITHOUT ROWID
;
INSERT INTO "topic_ends" VALUES('bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb','{"subreddits": {}, "unread": ""}',1700000000.0);
CREATE INDEX letters_not_passed ON dead_letters (spool_id, seq) WHERE passed = 0;
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('dead_letters',3);
INSERT INTO "sqlite_sequence" VALUES('resends',1);
COMMIT;
PRAGMA user_version = 2;
