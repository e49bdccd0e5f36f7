//! `naja db URL query`: one statement with its values.

use std::borrow::Cow;
use std::io;

use naja_report::answer::Form;
use naja_sql::Value;
use naja_system::{Failure, Result};

use crate::database::DatabaseError;
use crate::tables::parameters;

use super::printer::Printer;
use super::{Base, QueryArguments, Streams, done, explained};

pub(super) fn query(base: &Base, options: &QueryArguments, streams: &mut Streams<'_>) -> Result<()> {
    let given: Vec<(&str, Value<'_>)> =
        options.parameters.iter().map(|text| parameter(text)).collect::<Result<_>>()?;
    let mut database = if options.write { base.write()? } else { base.read()? };
    let placed = parameters::place(database.dialect(), &options.sql);
    let mut values = Vec::with_capacity(placed.names.len());
    for name in &placed.names {
        let Some((_, value)) = given.iter().rfind(|(known, _)| known == name) else {
            return Err(Failure::new(
                "missing-parameter",
                format!("the statement needs a value for `:{name}`"),
            )
            .hint(format!("-p {name}=VALUE")));
        };
        values.push(value.clone());
    }
    let mut out = io::BufWriter::with_capacity(1 << 16, &mut *streams.out);
    let form = options.format.form(options.json);
    let mut printer = Printer::new(form, &mut out);
    let ran = printer.print(&mut |_| (), |rows| database.execute(&placed.sql, &values, rows));
    // Rows that came before an error are shown, but not as a whole list.
    let is_whole = ran.is_ok() || form == Form::Table;
    done(printer.finish(is_whole).and_then(|()| io::Write::flush(&mut out)))?;
    let outcome = ran.map_err(|error| failed(&error))?;
    if options.write {
        // Nothing is lost where nobody hears it.
        let _ = writeln!(streams.err, "{} rows changed", outcome.affected.unwrap_or(0));
    }
    Ok(())
}

fn failed(error: &DatabaseError) -> Failure {
    let failure = explained(Failure::new("query-failed", "the query failed"), error);
    if error.is_read_only() {
        failure.hint("`--write` lets a statement change the database")
    } else {
        failure
    }
}

/// `name=value`, where the value may be a number; of `name:=value` it is text.
fn parameter(text: &str) -> Result<(&str, Value<'_>)> {
    let Some((name, value)) = text.split_once('=') else {
        return Err(Failure::new("usage", format!("`{text}` is no parameter")).hint("-p name=value"));
    };
    if let Some(name) = name.strip_suffix(':') {
        return Ok((name, Value::Text(Cow::Borrowed(value))));
    }
    let field = match (value.parse(), value.parse()) {
        (Ok(whole), _) => Value::Integer(whole),
        (_, Ok(real)) => Value::Real(real),
        _ => Value::Text(Cow::Borrowed(value)),
    };
    Ok((name, field))
}
