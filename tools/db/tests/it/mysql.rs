//! The command on a real MariaDB server.

use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use naja_testkit::MariaDbServer;

use crate::command::{Answer, Folder};

/// A database of a server that all tests share.
struct Base {
    folder: Folder,
    url: String,
}

impl Base {
    fn new() -> Option<Base> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let server = MariaDbServer::shared(Path::new(env!("CARGO_TARGET_TMPDIR")))?;
        let name = format!("base_{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let url = |name: &str| format!("mysql://root@/{name}?unix_socket={}", server.socket().display());
        let base = Base { folder: Folder::new(), url: url(&name) };
        let made = format!("create database {name}");
        let answer = base.folder.run(&[&url("mysql"), "query", "--write", &made], "");
        assert!(answer.err.ends_with(" rows changed\n"), "{}", answer.err);
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

    fn run(&self, words: &[&str]) -> Answer {
        let words: Vec<&str> = std::iter::once(self.url.as_str()).chain(words.iter().copied()).collect();
        self.folder.run(&words, "")
    }

    #[track_caller]
    fn check(&self, words: &[&str], out: &str, err: &str) {
        let answer = self.run(words);
        assert_eq!((answer.out.as_str(), answer.err.as_str()), (out, err));
    }
}

#[test]
fn a_csv_file_becomes_a_table_of_the_server_with_the_types_of_its_values() {
    let Some(base) = Base::new() else { return };
    let text = "name,born,height,alive,code,since\nAda,1815,1.65,false,007,1842-07-01\nBob,,2,true,8,\n";
    let file = base.folder.write("people.csv", text);
    base.check(&["insert", "people", &file], "", "2 rows stored in `people`\n");
    let more = base
        .folder
        .write("more.jsonl", "{\"name\": \"Ada\", \"born\": 1816, \"tags\": [\"x\"]}\n{\"name\": \"Eve\"}\n");
    base.check(&["insert", "people", &more, "--keys", "name"], "", "2 rows stored or changed in `people`\n");
    base.check(
        &["query", "select * from people where born > :born", "-p", "born=1", "--format", "jsonl"],
        "{\"id\": 1, \"name\": \"Ada\", \"born\": 1816, \"height\": 1.65, \"alive\": 0, \"code\": \"007\", \
         \"since\": \"1842-07-01\", \"tags\": [\"x\"]}\n",
        "",
    );
    base.check(
        &["tables", "--format", "csv"],
        "name,kind,rows,columns\r\npeople,table,3,\"id, name, born, height, alive, code, since, tags\"\r\n",
        "",
    );
    assert!(base.run(&["schema", "people"]).out.starts_with("CREATE TABLE `people` (\n"));
    let file = base.folder.path("out.csv");
    base.check(&["export", "people", &file], "", "3 rows written to `out.csv`\n");
}

#[test]
fn a_file_of_sqlite_moves_to_the_server_and_back() {
    let Some(base) = Base::new() else { return };
    let file = base.folder.path("shop.db");
    for statement in [
        "create table shop (id integer primary key, name text not null unique, price numeric(10, 2), open boolean default 1, \
         made datetime, picture blob, odd integer, \"weird \"\" name\" float)",
        "create table sale (shop integer references shop (id), day date, note text, primary key (shop, day))",
        "create index sale_day on sale (day)",
        "create index sale_note on sale (note)",
        "insert into shop values (1, 'a', 1.5, 1, '2020-02-29 12:00:00.000000', x'00ff', 1, 0.5), \
         (9, 'b', null, 0, null, null, 'text', -1e300)",
        "insert into sale values (1, '2020-01-01', 'x'), (9, '2020-01-02', null)",
    ] {
        let answer = base.folder.run(&[&file, "query", "--write", statement], "");
        assert!(answer.err.ends_with(" rows changed\n"), "{statement}: {}", answer.err);
    }
    let answer = base.folder.run(&[&file, "copy", &base.url], "");
    assert!(answer.err.starts_with("4 rows of 2 tables copied to `mysql://root@"), "{}", answer.err);
    base.check(
        &["query", "select * from shop order by id", "--format", "jsonl"],
        "{\"id\": 1, \"name\": \"a\", \"price\": 1.500000000000000000000000000000, \"open\": 1, \"made\": \"2020-02-29 12:00:00\", \
         \"picture\": \"00ff\", \"odd\": \"1\", \"weird \\\" name\": 0.5}\n\
         {\"id\": 9, \"name\": \"b\", \"price\": null, \"open\": 0, \"made\": null, \"picture\": null, \
         \"odd\": \"text\", \"weird \\\" name\": -1e+300}\n",
        "",
    );
    let schema = base.run(&["schema", "sale"]).out;
    for part in [
        "PRIMARY KEY (`shop`,`day`)",
        "REFERENCES `shop` (`id`)",
        "KEY `sale_day` (`day`)",
        "KEY `sale_note` (`note`(10))",
    ] {
        assert!(schema.contains(part), "{part} in {schema}");
    }
    // The server counts on from the keys that were copied.
    let base = base.made(&["insert into shop (name) values ('c')"]);
    base.check(&["query", "select max(id) as id from shop", "--format", "csv"], "id\r\n10\r\n", "");
    let back = base.folder.path("back.db");
    let answer = base.run(&["copy", &format!("sqlite:///{back}")]);
    assert_eq!(answer.err, "5 rows of 2 tables copied to `sqlite:///back.db`\n");
    let query = "select id, name, open, made, hex(picture), odd from shop where id < 10 order by id";
    let one = base.folder.run(&[&file, "query", query, "--format", "csv"], "").out;
    assert_eq!(base.folder.run(&[&back, "query", query, "--format", "csv"], "").out, one);
}

#[test]
fn a_database_of_the_server_is_copied_with_all_that_it_has() {
    let Some(base) = Base::new() else { return };
    let base = base.made(&[
        "create table part (id int auto_increment primary key, thing bigint unsigned, foreign key (thing) references thing (id))"
            .replace("foreign key (thing) references thing (id)", "key (thing)").as_str(),
        "create table thing (id bigint unsigned auto_increment primary key, code varchar(3) unique check (code <> 'x'), \
         big decimal(30, 4), at timestamp default current_timestamp, kind enum('a', 'b'), twice bigint as (id * 2) virtual)"
            .replace("as (id * 2)", "as (length(code) * 2)").as_str(),
        "alter table part add foreign key (thing) references thing (id)",
        "insert into thing (code, big, at, kind) values ('a', 12345678901234567890.1234, '2020-01-01 00:00:00', 'b')",
        "insert into part (thing) values (1), (1)",
    ]);
    let Some(other) = Base::new() else { return };
    let answer = base.run(&["copy", &other.url]);
    assert!(answer.err.starts_with("3 rows of 2 tables copied to "), "{}", answer.err);
    for query in ["select * from thing", "select * from part order by id"] {
        assert_eq!(other.run(&["query", query, "--json"]).out, base.run(&["query", query, "--json"]).out);
    }
    assert_eq!(other.run(&["schema"]).out, base.run(&["schema"]).out);
}

#[test]
fn what_the_server_refuses_is_told_with_its_place_and_leaves_nothing_behind() {
    let Some(base) = Base::new() else { return };
    let base = base.made(&["create table t (a tinyint)"]);
    let rows: String = (0..2500).map(|number| format!("{{\"a\": {}}}\n", number % 100)).collect();
    let file = base.folder.write("bad.jsonl", &format!("{rows}{{\"a\": 300}}\n"));
    let answer = base.run(&["insert", "t", &file]);
    assert!(
        answer.err.starts_with("error[cannot-store]: cannot store rows in `t`; nothing was stored\n  caused by: in rows 2001 to 2501: "),
        "{}",
        answer.err
    );
    assert!(answer.err.contains("Out of range value for column 'a'"), "{}", answer.err);
    base.check(&["query", "select count(*) as n from t", "--format", "csv"], "n\r\n0\r\n", "");
    let answer = base.run(&["query", "delete from t"]);
    assert!(
        answer.err.contains("READ ONLY")
            && answer.err.ends_with("hint: `--write` lets a statement change the database"),
        "{}",
        answer.err
    );
    let answer = base.run(&["export", "nobody"]);
    assert!(answer.err.ends_with("has no table `nobody`\n  hint: it has `t`"), "{}", answer.err);
    let nobody = base.url.replace("/base_", "/no_base_");
    let answer = base.folder.run(&[&nobody], "");
    assert!(
        answer.err.starts_with("error[cannot-open-database]: cannot open the database `mysql://root@"),
        "{}",
        answer.err
    );
    assert!(answer.err.contains("Unknown database"), "{}", answer.err);
}
