//! The fields of a record that its contract does not know, as one JSON object.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use super::cells::{Cell, Cells, Mark};
use super::names::{Names, Target};
use super::ndjson::{Broken, Record, Row};
use super::object;
use super::quarantine::Reason;

/// Gathers what is unknown in the objects of JSON.
#[derive(Debug)]
pub(super) struct Overflow {
    cell: usize,
    fields: Vec<Field>,
    /// The names of the fields, as JSON.
    names: Vec<u8>,
    /// How long the object is that is made of them.
    length: usize,
}

/// One field: where its name is among the names, and where its value is among the bytes in memory.
#[derive(Debug, Clone)]
struct Field {
    name: Range<usize>,
    value: Range<usize>,
}

/// How far the fields had come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Known {
    fields: usize,
    names: usize,
    length: usize,
}

impl Overflow {
    /// Makes ready to fill a cell.
    pub(super) fn new(cell: usize) -> Self {
        Self { cell, fields: Vec::new(), names: Vec::new(), length: 0 }
    }

    /// Forgets the fields of the record before.
    pub(super) fn begin(&mut self) {
        self.return_to(Known { fields: 0, names: 0, length: 0 });
    }

    /// Returns how far the fields have come.
    pub(super) fn known(&self) -> Known {
        Known { fields: self.fields.len(), names: self.names.len(), length: self.length }
    }

    /// Forgets the fields that came after.
    pub(super) fn return_to(&mut self, known: Known) {
        self.fields.truncate(known.fields);
        self.names.truncate(known.names);
        self.length = known.length;
    }

    /// Adds what is unknown in the object at `place` of a record, which has been read before; its names are those of
    /// `level`.
    pub(super) fn add(
        &mut self,
        names: &mut Names,
        level: usize,
        record: Record<'_>,
        place: Range<usize>,
    ) -> Result<(), Broken> {
        let mut inside: Vec<(usize, Range<usize>)> = Vec::new();
        for (number, member) in object::members(record.part(place.clone()).as_bytes(), record.most_depth).enumerate() {
            let member = member.ok_or_else(|| (Reason::Json, "expected one JSON object".to_owned()))?;
            let value = place.start + member.value.start..place.start + member.value.end;
            let meaning = names.meaning(level, number, &member.name);
            if let Some(inner) = meaning.inner {
                // Of two equal names the last counts.
                inside.retain(|(known, _)| *known != inner);
                if record.bytes[value.start] == b'{' {
                    inside.push((inner, value));
                }
            } else if meaning.target.is_none() {
                self.push(names.prefix(level), &member.name, value);
                if self.length > record.most_made {
                    return Err((Reason::Length, too_much(record.most_made)));
                }
            }
        }
        for (inner, value) in inside {
            self.add(names, inner, record, value)?;
        }
        Ok(())
    }

    fn push(&mut self, prefix: &[u8], name: &[u8], value: Range<usize>) {
        let start = self.names.len();
        self.names.push(b'"');
        escape(prefix, &mut self.names);
        escape(name, &mut self.names);
        self.names.push(b'"');
        self.length += self.names.len() - start + value.len() + 2;
        self.fields.push(Field { name: start..self.names.len(), value });
    }

    /// Forgets the fields whose names come again, so that they are not passed over for each row of a record.
    pub(super) fn settle(&mut self) {
        self.fields = self.distinct().cloned().collect();
    }

    /// Returns the fields, of those with equal names the last.
    fn distinct(&self) -> impl Iterator<Item = &Field> {
        let last: HashMap<&[u8], usize> =
            self.fields.iter().enumerate().map(|(at, field)| (&self.names[field.name.clone()], at)).collect();
        let is_last = move |(at, field): &(usize, &Field)| last[&self.names[field.name.clone()]] == *at;
        self.fields.iter().enumerate().filter(is_last).map(|(_, field)| field)
    }

    /// Fills the cell of a row, if there is something to fill it with.
    pub(super) fn fill(&self, row: &mut Row<'_>, bytes: &[u8]) {
        if self.fields.is_empty() {
            return;
        }
        let object = row.keep(|held| {
            let mut before = b'{';
            for Field { name, value } in self.distinct() {
                held.push(before);
                held.extend_from_slice(&self.names[name.clone()]);
                held.push(b':');
                held.extend_from_slice(&bytes[value.clone()]);
                before = b',';
            }
            held.push(b'}');
            Some(())
        });
        row.fill(Target { cell: self.cell, rank: 0 }, object.unwrap_or(Cell::NULL));
    }
}

/// What is unknown in records of delimited text.
#[derive(Debug)]
pub(super) struct OverflowFields {
    /// The place of each field and its name as JSON, in order.
    fields: Vec<(usize, Vec<u8>)>,
    /// The object of the last record.
    object: Vec<u8>,
}

impl OverflowFields {
    /// Looks through a header for names that no column has; of equal ones the last counts.
    pub(super) fn new(header: &[String], slots: &[Option<usize>]) -> Self {
        let known: HashSet<usize> = slots.iter().flatten().copied().collect();
        let last: HashMap<&String, usize> = header.iter().enumerate().map(|(at, name)| (name, at)).collect();
        let is_unknown = |(at, name): &(usize, &String)| !name.is_empty() && !known.contains(at) && last[name] == *at;
        let named = header.iter().enumerate().filter(is_unknown).map(|(at, name)| {
            let mut json = vec![b'"'];
            escape(name.as_bytes(), &mut json);
            json.push(b'"');
            (at, json)
        });
        Self { fields: named.collect(), object: Vec::new() }
    }

    /// Adds its cell to the record whose fields have come since `mark`; says why where it would be too long.
    pub(super) fn push(&mut self, cells: &mut Cells, mark: Mark, bytes: &[u8], most_made: usize) -> Result<(), String> {
        self.object.clear();
        for (place, name) in &self.fields {
            // A short record has no value there.
            let Some(text) = cells.field(mark, *place, bytes) else { continue };
            self.object.push(if self.object.is_empty() { b'{' } else { b',' });
            self.object.extend_from_slice(name);
            self.object.extend_from_slice(b":\"");
            escape(text, &mut self.object);
            self.object.push(b'"');
        }
        if self.object.is_empty() {
            cells.push(Cell::NULL);
            return Ok(());
        }
        self.object.push(b'}');
        if self.object.len() > most_made {
            return Err(too_much(most_made));
        }
        cells.push_held(|held| held.extend_from_slice(&self.object));
        Ok(())
    }
}

#[cold]
fn too_much(most_made: usize) -> String {
    format!("expected at most {most_made} bytes that the contract does not know (by `limits.record_bytes`), found more")
}

/// Appends a text as it stands between the quotes of JSON.
fn escape(text: &[u8], into: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    for &byte in text {
        match byte {
            b'"' | b'\\' => into.extend([b'\\', byte]),
            b'\n' => into.extend(*b"\\n"),
            b'\r' => into.extend(*b"\\r"),
            b'\t' => into.extend(*b"\\t"),
            0..0x20 => {
                into.extend(*b"\\u00");
                into.extend([HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
            }
            _ => into.push(byte),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_escaped_is_what_it_was() {
        let text: String = (0..0x250_u32).filter_map(char::from_u32).collect();
        let mut json = vec![b'"'];
        escape(text.as_bytes(), &mut json);
        json.push(b'"');
        assert_eq!(serde_json::from_slice::<String>(&json).unwrap(), text);
    }
}
