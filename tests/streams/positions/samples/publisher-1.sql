BEGIN TRANSACTION;
CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO "counters" VALUES('dead_letters',3);
INSERT INTO "counters" VALUES('errors',3);
INSERT INTO "counters" VALUES('published',44);
CREATE TABLE dead_letters (
    id INTEGER PRIMARY KEY,
    stream TEXT NOT NULL,
    spool_id TEXT NOT NULL,
    seq INTEGER NOT NULL,
    key BLOB NOT NULL,
    value BLOB NOT NULL,
    schema TEXT NOT NULL,
    reason TEXT NOT NULL,
    at REAL NOT NULL,
    UNIQUE (spool_id, seq)
);
INSERT INTO "dead_letters" VALUES(1,'comments','aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa',5,X'74315F35',X'7B226E223A357D','reddit.comment.v1','MSG_SIZE_TOO_LARGE: too large',1700000000.0);
INSERT INTO "dead_letters" VALUES(2,'comments','aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa',38,X'74315F3338',X'7B226E223A33387D','reddit.comment.v1','MSG_SIZE_TOO_LARGE: too large',1700000000.0);
INSERT INTO "dead_letters" VALUES(3,'comments','aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa',41,X'74315F3431',X'7B226E223A34317D','reddit.comment.v1','MSG_SIZE_TOO_LARGE: too large',1700000000.0);
CREATE TABLE identity (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
INSERT INTO "identity" VALUES('deployment','dddddddddddddddddddddddddddddddd');
CREATE TABLE positions (
    spool_id TEXT PRIMARY KEY,
    stream TEXT NOT NULL,
    seq INTEGER NOT NULL,              -- everything up to here is acknowledged by Kafka, or a dead letter
    at REAL NOT NULL
) WITHOUT ROWID;
INSERT INTO "positions" VALUES('aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa','comments',40,1700000000.0);
INSERT INTO "positions" VALUES('bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb','submissions',7,1700000000.0);
COMMIT;
PRAGMA user_version = 1;
