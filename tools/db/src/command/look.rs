//! `naja db URL tables` and `schema`: what there is.

use naja_report::answer::{self, Answer};
use naja_system::Result;

use crate::database::RowCount;

use super::{Base, SchemaArguments, Streams, TablesArguments, done};

pub(super) fn tables(base: &Base, options: &TablesArguments, streams: &mut Streams<'_>) -> Result<()> {
    let mut database = base.read()?;
    let entries = database.entries().map_err(|error| base.failed(error))?;
    let mut answer = Answer::new(options.format.form(options.json), streams.out);
    let mut printed = answer.columns(&["name", "kind", "rows", "columns"]);
    let mut estimated = Vec::new();
    for entry in &entries {
        let columns = database.columns(&entry.name).map_err(|error| base.failed(error))?.join(", ");
        let name = entry.name.to_string();
        let count = match database.count(&entry.name).map_err(|error| base.failed(error))? {
            RowCount::Exact(count) => answer::Value::Integer(count),
            RowCount::Estimated(count) => {
                estimated.push(format!("`{name}`"));
                answer::Value::Integer(count)
            }
            RowCount::Unknown => answer::Value::Null,
        };
        let row = [
            answer::Value::Text(&name),
            answer::Value::Text(&entry.kind),
            count,
            answer::Value::Text(&columns),
        ];
        printed = printed.and_then(|()| answer.row(&row));
    }
    done(printed.and_then(|()| answer.finish()))?;
    if !estimated.is_empty() {
        let _ = writeln!(
            streams.err,
            "the rows of {} are the server's estimate: counting them would take long",
            estimated.join(", ")
        );
    }
    Ok(())
}

pub(super) fn schema(base: &Base, options: &SchemaArguments, streams: &mut Streams<'_>) -> Result<()> {
    let mut database = base.read()?;
    let entry = options.table.as_deref().map(|table| base.entry(&mut *database, table)).transpose()?;
    let statements =
        database.schema(entry.as_ref().map(|entry| &entry.name)).map_err(|error| base.failed(error))?;
    let mut printed = Ok(());
    for statement in statements {
        printed = printed.and_then(|()| writeln!(streams.out, "{statement};"));
    }
    done(printed)
}
