BEGIN TRANSACTION;
CREATE TABLE attempts (
            pipeline INTEGER NOT NULL, path TEXT NOT NULL, number INTEGER NOT NULL,
            state TEXT NOT NULL, cause TEXT, message TEXT, exit_code INTEGER,
            command BLOB, env BLOB, image BLOB, container TEXT, position INTEGER,
            cpu REAL, mem REAL, queued REAL, started REAL, ended REAL, peak_memory INTEGER,
            snapshot TEXT, image_ready REAL, admitted REAL,
            PRIMARY KEY (pipeline, path, number)) WITHOUT ROWID;
INSERT INTO "attempts" VALUES(1,'/a',1,'done',NULL,NULL,0,'echo one',NULL,'','conducto_worker_old-one_1',0,1.0,2.0,1.7955479724247353e+09,1.79554797242584443e+09,1.79554797243129062e+09,NULL,NULL,NULL,NULL);
INSERT INTO "attempts" VALUES(1,'/b',1,'error','exit_code',NULL,3,'exit 3',NULL,'','conducto_worker_old-one_1',1,1.0,2.0,1.79554797243139743e+09,1.79554797243154764e+09,1.7955479724360342e+09,NULL,NULL,NULL,NULL);
INSERT INTO "attempts" VALUES(1,'/b',2,'error','exit_code',NULL,3,'exit 3',NULL,'','conducto_worker_old-one_1',2,1.0,2.0,1.79554797243614292e+09,1.79554797243627715e+09,1.79554797243823361e+09,NULL,NULL,NULL,NULL);
CREATE TABLE changes (
            pipeline INTEGER NOT NULL, seq INTEGER NOT NULL, time REAL NOT NULL,
            path TEXT NOT NULL, type TEXT NOT NULL, state TEXT NOT NULL,
            skipped INTEGER NOT NULL, cause TEXT, warning INTEGER NOT NULL,
            attempt INTEGER NOT NULL, exit_code INTEGER,
            PRIMARY KEY (pipeline, seq)) WITHOUT ROWID;
INSERT INTO "changes" VALUES(1,1,1.79554797242467617e+09,'/a','Exec','queued',0,NULL,0,1,NULL);
INSERT INTO "changes" VALUES(1,2,1.79554797242467617e+09,'/','Serial','running',0,NULL,0,0,NULL);
INSERT INTO "changes" VALUES(1,3,1.7955479724258728e+09,'/a','Exec','running',0,NULL,0,1,NULL);
INSERT INTO "changes" VALUES(1,4,1.7955479724313414e+09,'/a','Exec','done',0,NULL,0,1,0);
INSERT INTO "changes" VALUES(1,5,1.7955479724313414e+09,'/b','Exec','queued',0,NULL,0,1,NULL);
INSERT INTO "changes" VALUES(1,6,1.79554797243156504e+09,'/b','Exec','running',0,NULL,0,1,NULL);
INSERT INTO "changes" VALUES(1,7,1.79554797243608498e+09,'/b','Exec','pending',0,NULL,0,1,3);
INSERT INTO "changes" VALUES(1,8,1.79554797243608498e+09,'/b','Exec','queued',0,NULL,0,2,3);
INSERT INTO "changes" VALUES(1,9,1.79554797243629598e+09,'/b','Exec','running',0,NULL,0,2,NULL);
INSERT INTO "changes" VALUES(1,10,1.79554797243826794e+09,'/b','Exec','error',0,'exit_code',0,2,3);
INSERT INTO "changes" VALUES(1,11,1.79554797243826794e+09,'/','Serial','error',0,NULL,0,0,NULL);
INSERT INTO "changes" VALUES(1,12,1.79554797252847266e+09,'/c','Exec','pending',1,NULL,0,0,NULL);
CREATE TABLE definitions (
            pipeline INTEGER NOT NULL, target TEXT NOT NULL, body BLOB NOT NULL,
            PRIMARY KEY (pipeline, target));
INSERT INTO "definitions" VALUES(1,'',X'1F8B080000000000040385504B0AC32010BD8ACC3A94A4DD75DF1374530822C60CAD346A30A62404EF5E47A13450E846F1CDF87E1B58D7E30467D66EA0FB74430D1583B08E488F2B7A2D0742A6E046E1AC40EF9D4FA3E0674CB036F28EC24A93D735C48A7D880E3BAACB828A88943346DA2C85EAE198B3B8FFD57C1BF8F56BD1819D32951C864EAA67F6DF42B156B1163C06BFA68D0D8C5C849D8D2044E7A04DE49CEF6C1EFF0852545A41FB4AC137B851330DC4C809ECEFA5BFB6345797D412D2F003E548DD0ECAA20A3871E4122944AAAE9CD42AA974F3B4766E495AF10D0F2B7839AB010000');
INSERT INTO "definitions" VALUES(2,'',X'1F8B0800000000000403558E4B0B84300C84FF4A99B388E7BDEF7DEF224BB4410A7D2C3E4091FC779B1616BC246486992F1762B2BCE265FA0BCEE68D0E8DC176FE588F0F2DE43D7BD55CA099BF9142711CA431FF4CFB48BD0F9E3431A5102896D66DD919326491ED5C817D4575356B31A85B20FA4FAEAE53A9FACAB8AFE7980E88C80D1CD2AA4EB6000000');
CREATE TABLE edits (
            pipeline INTEGER NOT NULL, path TEXT NOT NULL, body TEXT NOT NULL,
            PRIMARY KEY (pipeline, path)) WITHOUT ROWID;
CREATE TABLE images (
            position INTEGER PRIMARY KEY, pipeline INTEGER NOT NULL, name TEXT NOT NULL,
            record TEXT NOT NULL, UNIQUE (pipeline, name));
INSERT INTO "images" VALUES(1,1,'i','{"name":"i","state":"done","reference":"","error":null,"started":1795547972.4248185,"ended":1795547972.4251657}');
CREATE TABLE nodes (
            pipeline INTEGER NOT NULL, path TEXT NOT NULL, state TEXT NOT NULL,
            skipped INTEGER NOT NULL, cause TEXT, warning INTEGER NOT NULL,
            attempt INTEGER NOT NULL, tries INTEGER NOT NULL, expired INTEGER NOT NULL,
            mem REAL, stop TEXT,
            PRIMARY KEY (pipeline, path)) WITHOUT ROWID;
INSERT INTO "nodes" VALUES(1,'/','error',0,NULL,0,0,0,0,NULL,NULL);
INSERT INTO "nodes" VALUES(1,'/a','done',0,NULL,0,1,1,0,NULL,NULL);
INSERT INTO "nodes" VALUES(1,'/b','error',0,'exit_code',0,2,2,0,NULL,NULL);
INSERT INTO "nodes" VALUES(1,'/c','pending',1,NULL,0,0,0,0,NULL,NULL);
CREATE TABLE notifications (
            pipeline INTEGER NOT NULL, number INTEGER NOT NULL, path TEXT NOT NULL,
            pending INTEGER NOT NULL, record TEXT NOT NULL,
            PRIMARY KEY (pipeline, number)) WITHOUT ROWID;
CREATE TABLE pipelines (
            number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE,
            record TEXT NOT NULL);
INSERT INTO "pipelines" VALUES(1,'old-one','{"schema_version":1,"id":"old-one","title":"old-one","doc":null,"tags":[],"owner":"","mode":"local","engine":"process","armed":true,"sleep_when_done":false,"run_at":null,"lifecycle":"active","retention":7,"program":null,"problem":null,"standing":{"state":"error","counts":{"pending":1,"queued":0,"running":0,"done":1,"error":1,"killed":0,"skipped":1},"settled":true,"seq":12,"started":1795547972.4246762,"ended":1795547972.5284727},"created":1795547972.4238572,"touched":1795547972.5286193}');
INSERT INTO "pipelines" VALUES(2,'old-two','{"schema_version":1,"id":"old-two","title":"old-two","doc":null,"tags":[],"owner":"","mode":"local","engine":"process","armed":false,"sleep_when_done":false,"run_at":null,"lifecycle":"active","retention":7,"program":null,"problem":null,"standing":{"state":"pending","counts":{"pending":0,"queued":0,"running":0,"done":0,"error":0,"killed":0,"skipped":0},"settled":true,"seq":0,"started":null,"ended":null},"created":1795547972.531911,"touched":1795547972.531911}');
CREATE TABLE texts (
            pipeline INTEGER NOT NULL, number INTEGER NOT NULL, body TEXT NOT NULL,
            PRIMARY KEY (pipeline, number)) WITHOUT ROWID;
CREATE INDEX undelivered ON notifications (pipeline, number) WHERE pending;
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('pipelines',2);
COMMIT;
PRAGMA application_id=1130656879;
PRAGMA user_version=3;
