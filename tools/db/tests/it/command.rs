//! The command on real files, with the program's own SQLite.

use std::fs;
use std::io::Write;
use std::path::Path;

use clap::Parser;
use naja_db::command::{DbArguments, Streams, db};
use tempfile::TempDir;

#[derive(Parser)]
struct Words {
    #[command(flatten)]
    arguments: DbArguments,
}

pub(crate) struct Folder(TempDir);

/// What a command printed, and how it ended.
pub(crate) struct Answer {
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Folder {
    pub(crate) fn new() -> Folder {
        Folder(tempfile::tempdir().expect("a folder"))
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().expect("a plain name").to_owned()
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> String {
        fs::write(self.path(name), text).expect("it can be written");
        self.path(name)
    }

    pub(crate) fn run(&self, words: &[&str], input: &str) -> Answer {
        let mut out = Vec::new();
        let mut answer = self.run_into(words, input, &mut out);
        answer.out = String::from_utf8(out).expect("text").replace(&self.path(""), "");
        answer
    }

    /// The same, printed somewhere else.
    pub(crate) fn run_into(&self, words: &[&str], input: &str, out: &mut dyn Write) -> Answer {
        let words = std::iter::once("db").chain(words.iter().copied());
        let arguments = Words::try_parse_from(words).expect("known words").arguments;
        let mut err = Vec::new();
        let mut streams = Streams { input: &mut input.as_bytes(), out, err: &mut err };
        let done = db(&arguments, naja_sqlite::library(), &mut streams);
        let err = String::from_utf8(err).expect("text").replace(&self.path(""), "");
        let mut answer = Answer { out: String::new(), err };
        if let Err(failure) = done {
            answer.err.push_str(&failure.to_string().replace(&self.path(""), ""));
        }
        answer
    }

    #[track_caller]
    pub(crate) fn check(&self, words: &[&str], out: &str, err: &str) {
        let answer = self.run(words, "");
        assert_eq!((answer.out.as_str(), answer.err.as_str()), (out, err));
    }

    pub(crate) fn people(&self) -> String {
        let base = self.path("people.db");
        let file = self.write(
            "people.csv",
            "name,born,height,alive,code,since\nAda,1815,1.65,false,007,1842-07-01\n\"Bob, \"\"B\"\"\",,2,true,8,\n",
        );
        self.check(&[&base, "insert", "people", &file], "", "2 rows stored in `people`\n");
        base
    }
}

#[test]
fn a_csv_file_becomes_a_table_with_the_types_of_its_values() {
    let folder = Folder::new();
    let base = folder.people();
    folder.check(
        &[&base, "schema", "people"],
        "CREATE TABLE \"people\" (\"id\" INTEGER NOT NULL, \"name\" TEXT, \"born\" BIGINT, \"height\" FLOAT, \
         \"alive\" BOOLEAN, \"code\" TEXT, \"since\" DATE, PRIMARY KEY (\"id\"));\n",
        "",
    );
    folder.check(
        &[&base],
        "\
name    kind   rows  columns
------  -----  ----  --------------------------------------------
people  table     2  id, name, born, height, alive, code, since
"
        .replace("--------------------------------------------", "------------------------------------------")
        .as_str(),
        "",
    );
    folder.check(
        &[&base, "query", "select * from people where born = :born", "-p", "born=1815", "--format", "jsonl"],
        "{\"id\": 1, \"name\": \"Ada\", \"born\": 1815, \"height\": 1.65, \"alive\": 0, \"code\": \"007\", \"since\": \"1842-07-01\"}\n",
        "",
    );
}

#[test]
fn rows_that_are_there_are_changed_by_their_keys() {
    let folder = Folder::new();
    let base = folder.people();
    let answer = folder.run(
        &[&base, "insert", "people", "--as", "jsonl", "--keys", "name"],
        "{\"name\": \"Ada\", \"born\": 1816, \"tags\": [\"x\"]}\n{\"name\": \"Eve\", \"born\": 2000}\n",
    );
    assert_eq!(answer.err, "2 rows stored or changed in `people`\n");
    folder.check(
        &[&base, "query", "select name, born, tags from people order by id", "--format", "csv"],
        "name,born,tags\r\nAda,1816,\"[\"\"x\"\"]\"\r\n\"Bob, \"\"B\"\"\",,\r\nEve,2000,\r\n",
        "",
    );
    let answer =
        folder.run(&[&base, "insert", "people", "--as", "jsonl", "--keys", "nobody"], "{\"name\": \"x\"}");
    assert!(
        answer.err.contains("there is no column `nobody`, by which rows are to be told apart"),
        "{}",
        answer.err
    );
}

#[test]
fn what_is_exported_can_be_inserted_again() {
    let folder = Folder::new();
    let base = folder.people();
    for form in ["csv", "json", "jsonl"] {
        let file = folder.path(&format!("out.{form}"));
        let answer = folder.run(&[&base, "export", "people", &file], "");
        assert_eq!(answer.err, format!("2 rows written to `out.{form}`\n"));
        let again = folder.path(&format!("again-{form}.db"));
        folder.run(&[&again, "insert", "people", &file], "");
        let query = "select id, name, born, height, code from people order by id";
        let one = folder.run(&[&base, "query", query], "");
        assert_eq!(folder.run(&[&again, "query", query], "").out, one.out, "{form}");
    }
    let answer = folder.run(&[&base, "export", "people"], "");
    assert!(answer.out.starts_with("id,name,born,height,alive,code,since\r\n1,Ada,"), "{}", answer.out);
}

#[test]
fn tables_are_copied_with_their_indexes() {
    let folder = Folder::new();
    let base = folder.people();
    let other = folder.path("other.db");
    folder.run(&[&base, "query", "--write", "create unique index by_name on people (name)"], "");
    let url = format!("sqlite:///{other}");
    folder.check(&[&base, "copy", &url], "", "2 rows of 1 tables copied to `sqlite:///other.db`\n");
    let query = "select * from people";
    assert_eq!(folder.run(&[&other, "query", query], "").out, folder.run(&[&base, "query", query], "").out);
    assert!(folder.run(&[&other, "schema"], "").out.contains("by_name"));
    let again = folder.run(&[&base, "copy", &other], "");
    assert!(
        again.err.starts_with("error[table-is-there]: `other.db` has a table `people` already"),
        "{}",
        again.err
    );
    let same = folder.run(&[&base, "copy", &base], "");
    assert!(same.err.contains("is the database that is copied from"), "{}", same.err);
}

#[test]
fn a_file_that_is_broken_leaves_nothing_behind() {
    let folder = Folder::new();
    let base = folder.path("new.db");
    let rows: String = (0..3000).map(|number| format!("{{\"a\": {number}}}\n")).collect();
    let file = folder.write("bad.jsonl", &format!("{rows}[1]\n"));
    let answer = folder.run(&[&base, "insert", "t", &file], "");
    assert_eq!(
        answer.err,
        "error[bad-rows]: cannot read the rows of `bad.jsonl`; nothing was stored\n  caused by: line 3001: an object is needed, one for each row"
    );
    assert_eq!(folder.run(&[&base, "tables", "--json"], "").out, "[]\n");
}

#[test]
fn what_is_wrong_is_named_with_a_hint() {
    let folder = Folder::new();
    let base = folder.people();
    let text = folder.write("text.db", &"no database\n".repeat(100));
    for (words, expected) in [
        (
            vec!["none.db"],
            "error[no-such-database]: there is no database `none.db`\n  hint: `insert` makes a new one",
        ),
        (
            vec!["oracle://ada:secret@host/db"],
            "error[unknown-database]: cannot open `oracle://ada:*****@host/db`: naja db speaks SQLite and PostgreSQL so \
             far, not `oracle`\n  hint: give the path of a SQLite file, sqlite:///file.db or postgresql://user@host/database",
        ),
        (
            vec!["postgresql://ada:secret@/db?sslmodus=x"],
            "error[bad-database-url]: cannot use the database's address: `sslmodus` is no option \
             of a connection, or not with this value\n  hint: `sslmode` is one",
        ),
        (
            vec![&base, "schema", "nobody"],
            "error[no-such-table]: `people.db` has no table `nobody`\n  hint: it has `people`",
        ),
        (
            vec![&base, "export", "nobody"],
            "error[no-such-table]: `people.db` has no table `nobody`\n  hint: it has `people`",
        ),
        (
            vec![&base, "query", "select :a"],
            "error[missing-parameter]: the statement needs a value for `:a`\n  hint: -p a=VALUE",
        ),
        (
            vec![&base, "query", "delete from people"],
            "error[query-failed]: the query failed\n  caused by: attempt to write a readonly database\n  hint: `--write` lets a statement change the database",
        ),
        (
            vec![&base, "query", "selec"],
            "error[query-failed]: the query failed\n  caused by: near \"selec\": syntax error",
        ),
        (
            vec![&base, "insert", "t", "rows.xls"],
            "error[unknown-form]: the name of `rows.xls` does not say what it is\n  hint: --as csv, --as json or --as jsonl",
        ),
        (
            vec![&base, "insert", "t", "none.csv"],
            "error[cannot-read]: cannot read `none.csv`\n  caused by: No such file or directory (os error 2)",
        ),
        (
            vec![&text],
            "error[database-refused]: the database `text.db` refuses\n  caused by: file is not a database",
        ),
    ] {
        let answer = folder.run(&words, "");
        assert_eq!(answer.err, expected, "{words:?}");
    }
}

#[test]
fn a_recording_is_a_database_too() {
    let folder = Folder::new();
    let base = folder.people();
    fs::rename(&base, folder.path("app.naja")).expect("it can be renamed");
    assert!(folder.run(&[&folder.path("app.naja")], "").out.contains("people"));
    assert!(Path::new(&folder.path("app.naja")).exists());
}

#[test]
fn a_statement_that_writes_says_how_many_rows_it_changed() {
    let folder = Folder::new();
    let base = folder.people();
    folder.check(
        &[&base, "query", "--write", "update people set born = :year", "-p", "year:=x"],
        "",
        "2 rows changed\n",
    );
    folder.check(
        &[&base, "query", "select typeof(born), count(*) as n from people group by 1"],
        "typeof(born)  n\n------------  -\ntext          2\n",
        "",
    );
}
