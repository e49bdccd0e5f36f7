//! The command on a real PostgreSQL server.

use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use naja_testkit::PostgresServer;

use crate::command::Folder;

/// A database of a server that all tests share.
struct Base {
    folder: Folder,
    url: String,
}

impl Base {
    fn new() -> Option<Base> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let server = PostgresServer::shared(Path::new(env!("CARGO_TARGET_TMPDIR")))?;
        let name = format!("base_{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let url = |name: &str| {
            format!(
                "postgresql://postgres@/{name}?host={}&port={}",
                server.socket_folder().display(),
                server.port()
            )
        };
        let base = Base { folder: Folder::new(), url: url(&name) };
        let made =
            base.folder.run(&[&url("postgres"), "query", "--write", &format!("create database {name}")], "");
        assert_eq!(made.err, "0 rows changed\n");
        Some(base)
    }

    /// Runs statements.
    fn made(self, statements: &[&str]) -> Base {
        for statement in statements {
            let answer = self.run(&["query", "--write", statement]);
            assert!(answer.err.ends_with(" rows changed\n"), "{statement}: {}", answer.err);
        }
        self
    }

    fn run(&self, words: &[&str]) -> crate::command::Answer {
        let words: Vec<&str> = std::iter::once(self.url.as_str()).chain(words.iter().copied()).collect();
        self.folder.run(&words, "")
    }

    #[track_caller]
    fn check(&self, words: &[&str], out: &str, err: &str) {
        let answer = self.run(words);
        assert_eq!((answer.out.as_str(), answer.err.as_str()), (out, err));
    }
}

const PEOPLE: &str =
    "name,born,height,alive,code,since\nAda,1815,1.65,false,007,1842-07-01\nBob,,2,true,8,\n";

#[test]
fn a_csv_file_becomes_a_table_of_the_server_with_the_types_of_its_values() {
    let Some(base) = Base::new() else { return };
    let file = base.folder.write("people.csv", PEOPLE);
    base.check(&["insert", "people", &file], "", "2 rows stored in `people`\n");
    base.check(
        &["schema", "people"],
        "CREATE TABLE \"people\" (\n  \"id\" serial NOT NULL,\n  \"name\" text,\n  \"born\" bigint,\n  \"height\" double precision,\n  \
         \"alive\" boolean,\n  \"code\" text,\n  \"since\" date,\n  CONSTRAINT \"people_pkey\" PRIMARY KEY (id)\n);\n",
        "",
    );
    base.check(
        &["query", "select * from people where born = :born", "-p", "born=1815", "--format", "jsonl"],
        "{\"id\": 1, \"name\": \"Ada\", \"born\": 1815, \"height\": 1.65, \"alive\": false, \"code\": \"007\", \
         \"since\": \"1842-07-01\"}\n",
        "",
    );
    let more = base
        .folder
        .write("more.jsonl", "{\"name\": \"Ada\", \"born\": 1816, \"tags\": [\"x\"]}\n{\"name\": \"Eve\"}\n");
    base.check(&["insert", "people", &more, "--keys", "name"], "", "2 rows stored or changed in `people`\n");
    base.check(
        &["query", "select id, name, born, tags from people order by id", "--format", "csv"],
        "id,name,born,tags\r\n1,Ada,1816,\"[\"\"x\"\"]\"\r\n2,Bob,,\r\n3,Eve,,\r\n",
        "",
    );
    base.check(
        &[],
        "name    kind   rows  columns\n------  -----  ----  ------------------------------------------------\n\
         people  table     3  id, name, born, height, alive, code, since, tags\n",
        "",
    );
}

#[test]
fn schemas_are_part_of_names() {
    let Some(base) = Base::new() else { return };
    let base = base.made(&[
        "create schema staging",
        "create table staging.people (id integer primary key, name varchar(20) default 'x' not null)",
        "create view everyone as select name from staging.people",
    ]);
    let file = base.folder.write("people.csv", "id,name\n7,Ada\n");
    base.check(&["insert", "staging.people", &file], "", "1 rows stored in `staging.people`\n");
    let answer = base.run(&["tables", "--format", "csv"]);
    assert_eq!(
        answer.out,
        "name,kind,rows,columns\r\neveryone,view,1,name\r\nstaging.people,table,1,\"id, name\"\r\n"
    );
    let answer = base.run(&["export", "staging.people"]);
    assert_eq!(answer.out, "id,name\r\n7,Ada\r\n");
    let answer = base.run(&["schema"]);
    assert_eq!(
        answer.out,
        "CREATE SCHEMA IF NOT EXISTS \"staging\";\nCREATE TABLE \"staging\".\"people\" (\n  \"id\" integer NOT NULL,\n  \
         \"name\" character varying(20) DEFAULT 'x'::character varying NOT NULL,\n  CONSTRAINT \"people_pkey\" PRIMARY KEY (id)\n);\n\
         CREATE VIEW \"everyone\" AS\n SELECT people.name\n   FROM staging.people;\n"
    );
}

#[test]
fn a_file_of_sqlite_moves_to_the_server_and_back() {
    let Some(base) = Base::new() else { return };
    let file = base.folder.path("shop.db");
    for statement in [
        "create table shop (id integer primary key, name text not null unique, price numeric(10, 2), open boolean default 1, \
         made datetime, data json, picture blob, odd integer, \"weird \"\" name\" float)",
        "create table sale (shop integer references shop (id), day date, primary key (shop, day))",
        "create index sale_day on sale (day)",
        "create index odd on sale (day) where shop > 3",
        "insert into shop values (1, 'a', 1.5, 1, '2020-02-29 12:00:00.000000', '{\"a\": [1]}', x'00ff', 1, 0.5), \
         (9, 'b', null, 0, null, null, null, 'text', -1e300)",
        "insert into sale values (1, '2020-01-01'), (9, '2020-01-02')",
    ] {
        let answer = base.folder.run(&[&file, "query", "--write", statement], "");
        assert!(answer.err.ends_with(" rows changed\n"), "{statement}: {}", answer.err);
    }
    let answer = base.folder.run(&[&file, "copy", &base.url], "");
    let (said, done) = answer.err.split_once('\n').expect("two lines");
    assert_eq!(said, "`sale`: not copied is the index `odd`");
    assert!(done.starts_with("4 rows of 2 tables copied to `postgresql://postgres@/base_"), "{done}");
    base.check(
        &["query", "select * from shop order by id", "--format", "jsonl"],
        "{\"id\": 1, \"name\": \"a\", \"price\": 1.5, \"open\": true, \"made\": \"2020-02-29 12:00:00\", \"data\": {\"a\": [1]}, \
         \"picture\": \"00ff\", \"odd\": \"1\", \"weird \\\" name\": 0.5}\n\
         {\"id\": 9, \"name\": \"b\", \"price\": null, \"open\": false, \"made\": null, \"data\": null, \"picture\": null, \
         \"odd\": \"text\", \"weird \\\" name\": -1e+300}\n",
        "",
    );
    let schema = base.run(&["schema", "sale"]).out;
    for part in [
        "PRIMARY KEY (shop, day)",
        "FOREIGN KEY (shop) REFERENCES shop(id)",
        "CREATE INDEX sale_day ON public.sale",
    ] {
        assert!(schema.contains(part), "{part} in {schema}");
    }
    // The server counts on from the keys that were copied.
    let new = "insert into shop (name) values ('c') returning id";
    base.check(&["query", "--write", new, "--format", "csv"], "id\r\n10\r\n", "1 rows changed\n");
    let back = base.folder.path("back.db");
    let answer = base.run(&["copy", &format!("sqlite:///{back}"), "shop", "sale"]);
    assert_eq!(answer.err, "5 rows of 2 tables copied to `sqlite:///back.db`\n");
    let query =
        "select id, name, price, open, made, data, hex(picture), odd from shop where id < 10 order by id";
    let one = base.folder.run(&[&file, "query", query, "--format", "csv"], "").out;
    assert_eq!(base.folder.run(&[&back, "query", query, "--format", "csv"], "").out, one);
    let made = base.folder.run(&[&back, "schema", "sale"], "").out;
    assert!(made.contains("FOREIGN KEY (\"shop\") REFERENCES \"shop\"(\"id\")"), "{made}");
}

#[test]
fn a_database_of_the_server_is_copied_with_all_that_it_has() {
    let Some(base) = Base::new() else { return };
    let base = base.made(&[
        "create schema other",
        "create table other.thing (id bigserial primary key, code varchar(3) unique check (code <> 'x'), \
         big numeric(30, 4), at timestamptz default now(), tags text[], twice bigint generated always as (id * 2) stored)",
        "create table part (id integer generated by default as identity, thing bigint references other.thing, \
         primary key (id))",
        "create index lower_code on other.thing (lower(code))",
        "insert into other.thing (code, big, at, tags) values ('a', 12345678901234567890.1234, '2020-01-01 00:00+02', \
         '{x,\"y,z\",null}')",
        "insert into part (thing) values (1), (1)",
    ]);
    let Some(other) = Base::new() else { return };
    let answer = base.run(&["copy", &other.url]);
    assert!(answer.err.starts_with("3 rows of 2 tables copied to "), "{}", answer.err);
    for query in ["select * from other.thing", "select * from part order by id"] {
        assert_eq!(other.run(&["query", query, "--json"]).out, base.run(&["query", query, "--json"]).out);
    }
    let schema = base.run(&["schema"]).out;
    for part in [
        "CHECK",
        "lower_code",
        "GENERATED ALWAYS AS ((id * 2)) STORED",
        "FOREIGN KEY (thing)",
        "UNIQUE (code)",
    ] {
        assert!(schema.contains(part), "{part} in {schema}");
    }
    assert_eq!(other.run(&["schema"]).out, schema);
    // What SQLite has no words for is told, and what it would round is text.
    let file = other.folder.path("thing.db");
    let answer = base.run(&["copy", &file, "other.thing"]);
    assert_eq!(
        answer.err.replace(&file, "thing.db"),
        "`other.thing`: not copied is the constraint `thing_code_check`: CHECK (((code)::text <> 'x'::text))\n\
         `other.thing`: not copied is the index `lower_code`\n`other.thing`: not copied is the default `now()` of `at`\n\
         1 rows of 1 tables copied to `thing.db`\n"
    );
    let answer =
        other.folder.run(&[&file, "query", "select id, big, at, tags, twice from thing", "--json"], "");
    assert_eq!(
        answer.out,
        "[\n{\"id\": 1, \"big\": \"12345678901234567890.1234\", \"at\": \"2019-12-31 22:00:00.000000+00:00\", \
         \"tags\": \"[\\\"x\\\",\\\"y,z\\\",null]\", \"twice\": 2}\n]\n"
    );
}

#[test]
fn what_the_server_refuses_is_told_with_its_place_and_leaves_nothing_behind() {
    let Some(base) = Base::new() else { return };
    let base = base.made(&["create table t (a integer)"]);
    let rows: String = (0..2500).map(|number| format!("{{\"a\": {number}}}\n")).collect();
    let file = base.folder.write("bad.jsonl", &format!("{rows}{{\"a\": \"x\"}}\n"));
    let answer = base.run(&["insert", "t", &file]);
    assert!(
        answer.err.starts_with("error[cannot-store]: cannot store rows in `t`; nothing was stored\n  caused by: in rows 2001 to 2501: "),
        "{}",
        answer.err
    );
    assert!(answer.err.contains("invalid input syntax for type integer"), "{}", answer.err);
    base.check(&["query", "select count(*) from t", "--format", "csv"], "count\r\n0\r\n", "");
    let answer = base.run(&["query", "delete from t"]);
    assert!(answer.err.contains("read-only transaction (25006)\n  hint: `--write`"), "{}", answer.err);
    let answer = base.run(&["query", "selec"]);
    assert!(answer.err.starts_with("error[query-failed]: the query failed\n  caused by: "), "{}", answer.err);
    let answer = base.run(&["export", "nobody"]);
    assert!(answer.err.ends_with("has no table `nobody`\n  hint: it has `t`"), "{}", answer.err);
    let nobody = base.url.replace("/base_", "/no_base_");
    let answer = base.folder.run(&[&nobody], "");
    assert!(answer.err.starts_with(
        "error[cannot-open-database]: cannot open the database `postgresql://postgres@/no_base_"
    ));
    assert!(answer.err.contains("does not exist"), "{}", answer.err);
}

#[test]
fn a_reader_that_goes_away_ends_a_long_statement() {
    let Some(base) = Base::new() else { return };
    struct Gone(usize);
    impl std::io::Write for Gone {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 += bytes.len();
            if self.0 > 100_000 { Err(std::io::ErrorKind::BrokenPipe.into()) } else { Ok(bytes.len()) }
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    // Without an end within anybody's patience.
    let sql = "select generate_series(1, 1000000000000)";
    let answer = base.folder.run_into(&[&base.url, "query", sql, "--format", "csv"], "", &mut Gone(0));
    assert_eq!(answer.err, "");
}
