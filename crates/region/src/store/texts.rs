//! Documents: a row per part, a row per blob that is not folded yet.

use landfall_model::id::{DeviceId, Dot, EntityKey, FieldId};
use landfall_model::text::{Blob, Part, Text};
use landfall_model::vector::{Position, Vector};
use landfall_sync::region::store::TextRow;
use rusqlite::{OptionalExtension, Row};
use std::collections::HashMap;

use super::database::Database;
use super::error::Error;
use super::values::{Bytes16, Number, decode, encode};

/// Where the blobs of a document lie in the logs: (births, name) -> highest position per log.
type Known = HashMap<(Vec<u8>, Dot), Vec<u8>>;

impl Database {
    pub(super) fn read_text(&mut self, key: &EntityKey, field: FieldId) -> Result<Text, Error> {
        let Some(entity) = self.entity_number(key)? else { return Ok(Text::default()) };
        self.document(entity, field, None)
    }

    pub(super) fn read_texts_since(
        &mut self,
        key: &EntityKey,
        cursor: &Vector,
    ) -> Result<Vec<TextRow>, Error> {
        if !self.has_texts()? {
            return Ok(Vec::new());
        }
        let Some(entity) = self.entity_number(key)? else { return Ok(Vec::new()) };
        let fields: Vec<u32> = self
            .statement("SELECT DISTINCT field FROM text_part WHERE entity = ?1 ORDER BY field")?
            .query_map([entity], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        let mut rows = Vec::new();
        for field in fields.into_iter().map(FieldId) {
            let text = self.document(entity, field, Some(cursor))?;
            if !text.is_empty() {
                rows.push(TextRow { field, text });
            }
        }
        Ok(rows)
    }

    /// Whether any document is here: most stores have none, and each row of a pass asks for its own.
    fn has_texts(&mut self) -> Result<bool, Error> {
        if let Some(known) = self.any_text {
            return Ok(known);
        }
        let any = self
            .statement("SELECT EXISTS (SELECT 1 FROM text_part)")?
            .query_row((), |row| row.get(0))?;
        self.any_text = Some(any);
        Ok(any)
    }

    /// A document, or what a reader at a cursor lacks of it.
    fn document(&self, entity: i64, field: FieldId, since: Option<&Vector>) -> Result<Text, Error> {
        let mut statement = self.statement(
            "SELECT id, births, folded, snapshot FROM text_part WHERE entity = ?1 AND field = ?2",
        )?;
        let mut rows = statement.query((entity, field.0))?;
        let mut text = Text::default();
        while let Some(row) = rows.next()? {
            let births: Vec<u8> = row.get(1)?;
            let part = Part {
                // A column is read from the file only when it is asked for.
                snapshot: if lacks(row, 2, since)? { row.get(3)? } else { None },
                updates: self.blobs(row.get(0)?, since)?,
            };
            if part != Part::default() {
                text.insert_part(decode("a document's births", &births)?, part);
            }
        }
        Ok(text)
    }

    fn blobs(
        &self,
        part: i64,
        since: Option<&Vector>,
    ) -> Result<std::collections::BTreeMap<Dot, Blob>, Error> {
        let mut statement =
            self.statement("SELECT device, seq, positions, bytes FROM text_blob WHERE part = ?1")?;
        let mut rows = statement.query([part])?;
        let mut blobs = std::collections::BTreeMap::new();
        while let Some(row) = rows.next()? {
            if lacks(row, 2, since)? {
                blobs.insert(dot_columns(row, 0)?, Blob(row.get(3)?));
            }
        }
        Ok(blobs)
    }

    pub(super) fn write_blob(
        &mut self,
        key: &EntityKey,
        field: FieldId,
        births: &[Dot],
        dot: Dot,
        blob: &[u8],
        position: Position,
    ) -> Result<(), Error> {
        let entity = self.name_entity(key)?;
        let part = self.name_part(entity, field, births)?;
        let name = (part, Bytes16(dot.device.0), Number(dot.seq));
        let known: Option<Vec<u8>> = self
            .statement(
                "SELECT positions FROM text_blob WHERE part = ?1 AND device = ?2 AND seq = ?3",
            )?
            .query_row(name, |row| row.get(0))
            .optional()?;
        let mut positions: Vector = match &known {
            Some(bytes) => decode("a blob's positions", bytes)?,
            None => Vector::new(),
        };
        positions.advance_to(position);
        if known.is_some() {
            self.statement(
                "UPDATE text_blob SET positions = ?4 WHERE part = ?1 AND device = ?2 AND seq = ?3",
            )?
            .execute((name.0, name.1, name.2, encode(&positions)))?;
        } else {
            self.insert_blob(part, dot, &encode(&positions), blob)?;
        }
        Ok(())
    }

    fn name_part(&mut self, entity: i64, field: FieldId, births: &[Dot]) -> Result<i64, Error> {
        let births = encode(&births);
        let found = self
            .statement("SELECT id FROM text_part WHERE entity = ?1 AND field = ?2 AND births = ?3")?
            .query_row((entity, field.0, &births), |row| row.get(0))
            .optional()?;
        match found {
            Some(id) => Ok(id),
            None => self.insert_part(entity, field, &births, &Vector::new(), None),
        }
    }

    fn insert_part(
        &mut self,
        entity: i64,
        field: FieldId,
        births: &[u8],
        folded: &Vector,
        snapshot: Option<&[u8]>,
    ) -> Result<i64, Error> {
        let row = (entity, field.0, births, encode(folded), snapshot);
        self.statement(
            "INSERT INTO text_part (entity, field, births, folded, snapshot)
             VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute(row)?;
        self.any_text = Some(true);
        Ok(self.connection.last_insert_rowid())
    }

    fn insert_blob(
        &self,
        part: i64,
        dot: Dot,
        positions: &[u8],
        bytes: &[u8],
    ) -> Result<(), Error> {
        self.statement(
            "INSERT INTO text_blob (part, device, seq, positions, bytes)
             VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute((part, Bytes16(dot.device.0), Number(dot.seq), positions, bytes))?;
        Ok(())
    }

    /// Replace a document. A blob of which no position is known counts as come with `touch`: it is
    /// then sent too often rather than too rarely.
    pub(super) fn write_text(
        &mut self,
        key: &EntityKey,
        field: FieldId,
        text: &Text,
        touch: &Vector,
    ) -> Result<(), Error> {
        let entity = self.name_entity(key)?;
        let known = self.known_positions(entity, field)?;
        self.delete_text(entity, field)?;
        for (births, part) in text.parts().filter(|(_, part)| **part != Part::default()) {
            let births = encode(&births);
            let id = self.insert_part(entity, field, &births, touch, part.snapshot.as_deref())?;
            for (dot, blob) in &part.updates {
                let positions = known.get(&(births.clone(), *dot)).cloned();
                let positions = positions.unwrap_or_else(|| encode(touch));
                self.insert_blob(id, *dot, &positions, &blob.0)?;
            }
        }
        Ok(())
    }

    fn known_positions(&self, entity: i64, field: FieldId) -> Result<Known, Error> {
        let mut statement = self.statement(
            "SELECT p.births, b.device, b.seq, b.positions
             FROM text_part p CROSS JOIN text_blob b ON b.part = p.id
             WHERE p.entity = ?1 AND p.field = ?2",
        )?;
        let known = statement.query_map((entity, field.0), |row| {
            Ok(((row.get(0)?, dot_columns(row, 1)?), row.get(3)?))
        })?;
        Ok(known.collect::<Result<_, _>>()?)
    }

    fn delete_text(&self, entity: i64, field: FieldId) -> Result<(), Error> {
        self.statement(
            "DELETE FROM text_blob WHERE part IN
             (SELECT id FROM text_part WHERE entity = ?1 AND field = ?2)",
        )?
        .execute((entity, field.0))?;
        self.statement("DELETE FROM text_part WHERE entity = ?1 AND field = ?2")?
            .execute((entity, field.0))?;
        Ok(())
    }
}

/// Whether a reader at the cursor lacks what came under the vector in column `n`.
fn lacks(row: &Row<'_>, n: usize, since: Option<&Vector>) -> Result<bool, Error> {
    let Some(cursor) = since else { return Ok(true) };
    let bytes: Vec<u8> = row.get(n)?;
    let vector: Vector = decode("a document's positions", &bytes)?;
    Ok(!cursor.covers(&vector))
}

fn dot_columns(row: &Row<'_>, first: usize) -> rusqlite::Result<Dot> {
    let (device, seq): (Bytes16, Number) = (row.get(first)?, row.get(first + 1)?);
    Ok(Dot::new(DeviceId(device.0), seq.0))
}
