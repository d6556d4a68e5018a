//! `published/`: the current tables, as plain folders of Parquet files for BI tools.
//!
//! ```text
//! published/current            → gen/<snapshot>      swapped in one step
//! published/gen/<snapshot>/    <table> → ../../tables/<table>/<files>, _metadata/, ops_run/, …, manifest.json, views.sql
//! published/tables/<table>/<files>/part-0.parquet    hard links to data files, made once
//! ```
//!
//! All of it is derived from the reference: whoever finds it behind, after a crash, or not whole, because somebody removed
//! some of it, brings it up to date. A reader of one table sees one generation or a missing file, never a mixture; a reader of several pins one generation through
//! its `views.sql`. Generations are kept for a day.

use std::time::{Duration, Instant, SystemTime};

use arrow::array::{RecordBatch, RecordBatchReader};
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use camino::{Utf8Path, Utf8PathBuf};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::crash::crash_point;
use super::lock::Lock;
use super::ops_tables;
use super::read::decoding;
use super::{Snapshot, Store, StoreError, TableState};
use crate::digest::{Digest, Parts};
use crate::sql_text::{identifier, text};

/// How long a generation stays after it was current last, so that long queries can end.
pub(super) const KEPT: Duration = Duration::from_hours(24);

/// The file of a generation that tells readers of its tables. It is made last.
const VIEWS: &str = "views.sql";

/// The file of a generation that tells what the project consists of.
const MANIFEST: &str = "manifest.json";

/// How the view of each table begins in it.
const CREATE: &str = "\ncreate or replace view ";

impl Store {
    /// Brings `published/` in line with the reference. Does nothing when it is.
    pub fn refresh_published(&self) -> Result<(), StoreError> {
        match self.reference()? {
            Some(reference) if !self.is_current(&reference.snapshot) => {}
            _ => return Ok(()),
        }
        // One at a time, and the reference read under the lock: two that refresh at once must not go back.
        let deadline = Some(Instant::now() + Duration::from_mins(1));
        let _lock = Lock::take(&self.locks(), ".published", deadline)?;
        let Some(reference) = self.reference()? else { return Ok(()) };
        let id = &reference.snapshot;
        let current = self.published().join("current");
        let target = Utf8PathBuf::from(format!("gen/{id}"));
        if self.is_current(id) {
            return Ok(());
        }
        let generation = self.published().join(&target);
        if !is_whole(&generation) {
            self.make_generation(id, &generation)?;
        }
        crash_point("published.before-current");
        // Its readers have a day from now on, however long it has been current.
        let _ = current.canonicalize_utf8().and_then(|old| std::fs::File::open(old)?.set_modified(SystemTime::now()));
        self.disk.point(&current, &target).map_err(|source| StoreError::Write { path: current, source })?;
        crash_point("published.after-current");
        self.remove_old_generations(id, KEPT);
        Ok(())
    }

    /// Brings `published/` in line with the reference, and removes from it what is only there for readers of before and has
    /// been long enough; returns how many generations.
    pub(super) fn tidy_published(&self, kept: Duration) -> Result<usize, StoreError> {
        self.refresh_published()?;
        let deadline = Some(Instant::now() + Duration::from_mins(1));
        let _lock = Lock::take(&self.locks(), ".published", deadline)?;
        let reference = self.reference()?.filter(|reference| self.is_current(&reference.snapshot));
        // Behind by now: whoever moved the reference brings it in line, and tidies up then.
        let Some(reference) = reference else { return Ok(0) };
        let removed = self.remove_old_generations(&reference.snapshot, kept);
        self.remove_unread_folders(kept);
        self.remove_drafts(&self.published());
        Ok(removed)
    }

    /// Reads a table about the warehouse ([`super::OPS_TABLES`]), as readers see it.
    pub fn about(&self, table: &str) -> Result<(SchemaRef, Vec<RecordBatch>), StoreError> {
        let path = self.published().join("current").join(table).join(part(0));
        let file = std::fs::File::open(&path).map_err(|source| StoreError::Read { path: path.clone(), source })?;
        decoding(&path, || {
            let reader = ParquetRecordBatchReaderBuilder::try_new(file)?.build()?;
            let schema = reader.schema();
            Ok::<_, ArrowError>((schema, reader.collect::<Result<Vec<_>, _>>()?))
        })
    }

    /// Returns whether `published/` shows the snapshot `id`.
    #[must_use]
    pub fn is_current(&self, id: &Digest) -> bool {
        let current = self.published().join("current");
        current.read_link_utf8().is_ok_and(|now| now == format!("gen/{id}")) && is_whole(&current)
    }

    fn make_generation(&self, id: &Digest, generation: &Utf8Path) -> Result<(), StoreError> {
        let snapshot = self.snapshot(id)?;
        let all = snapshot.tables.iter().map(|(name, entry)| self.table(name, &entry.state));
        let all = all.collect::<Result<Vec<_>, _>>()?;
        let mut tables: Vec<TableState> = all.iter().filter(|state| state.is_published).cloned().collect();
        // Made under another name and moved when whole, so that a generation that exists is complete.
        let draft = self.published().join(format!("gen/.{id}.{}", uuid::Uuid::now_v7().simple()));
        let write = |path: &Utf8Path| {
            let path = path.to_path_buf();
            move |source| StoreError::Write { path, source }
        };
        for state in &tables {
            let folder = self.table_folder(state)?;
            let link = draft.join(&state.table);
            let target = Utf8PathBuf::from("../..").join(folder);
            self.disk.point(&link, &target).map_err(write(&link))?;
        }
        for about in ops_tables::make(self, &snapshot, &tables, &all)? {
            let path = draft.join(&about.state.table).join(part(0));
            self.disk.write(&path, &parquet_bytes(&about.batch, &path)?).map_err(write(&path))?;
            let folder = draft.join(&about.state.table);
            self.disk.sync(&folder).map_err(write(&folder))?;
            tables.push(about.state);
        }
        if let Some(manifest) = &snapshot.manifest {
            let path = draft.join(MANIFEST);
            let text = manifest_json(id, &snapshot, self.manifest(manifest)?);
            self.disk.write(&path, text.as_bytes()).map_err(write(&path))?;
        }
        let views = draft.join(VIEWS);
        self.disk.write(&views, views_sql(&tables, &absolute(generation)).as_bytes()).map_err(write(&views))?;
        self.disk.sync(&draft).map_err(write(&draft))?;
        crash_point("published.before-generation");
        self.put_folder(&draft, generation)
    }

    /// Puts a folder that is whole under its name, in place of what is left of one that is not.
    fn put_folder(&self, draft: &Utf8Path, folder: &Utf8Path) -> Result<(), StoreError> {
        let write = |source| StoreError::Write { path: folder.to_path_buf(), source };
        if folder.symlink_metadata().is_ok() {
            self.disk.remove(folder).map_err(write)?;
        }
        self.disk.rename_folder(draft, folder).map_err(write)
    }

    /// Returns the folder of a table's files below `published/`, made if it is not there yet.
    fn table_folder(&self, state: &TableState) -> Result<Utf8PathBuf, StoreError> {
        let mut parts = Parts::of("folder");
        state.columns.iter().for_each(|column| parts.add(format!("{} {}", column.name, column.kind)));
        state.files.iter().for_each(|file| parts.add(&file.path));
        let relative = Utf8PathBuf::from(format!("tables/{}/{}", state.table, parts.digest().short()));
        let folder = self.published().join(&relative);
        let parts = 0..state.files.len().max(1);
        if parts.map(|n| folder.join(part(n))).all(|part| part.exists()) {
            return Ok(relative);
        }
        let draft = folder.with_file_name(format!(".{}", uuid::Uuid::now_v7().simple()));
        for (n, file) in state.files.iter().enumerate() {
            // What is not there cannot be written either, and that would be no disk's fault.
            self.assure(file)?;
            let link = draft.join(part(n));
            self.disk.link(&self.path(file), &link).map_err(|source| StoreError::Write { path: link, source })?;
        }
        if state.files.is_empty() {
            // A table without rows still has columns, and a reader of `*.parquet` wants a file to find them in.
            let path = draft.join(part(0));
            let bytes = parquet_bytes(&RecordBatch::new_empty(super::schema_of(&state.columns)), &path)?;
            self.disk.write(&path, &bytes).map_err(|source| StoreError::Write { path, source })?;
        }
        self.disk.sync(&draft).map_err(|source| StoreError::Write { path: draft.clone(), source })?;
        self.put_folder(&draft, &folder)?;
        Ok(relative)
    }

    /// Removes generations that nobody should still be reading, and table folders that no generation links to any more;
    /// returns how many generations. A failure here leaves files behind and is not worth failing a run for: the next
    /// refresh tries again.
    fn remove_old_generations(&self, id: &Digest, kept: Duration) -> usize {
        let old = entries(&self.published().join("gen"));
        let old =
            old.iter().filter(|generation| generation.file_name() != Some(id.as_str()) && is_old(generation, kept));
        let removed = old.filter(|generation| self.disk.remove(generation).is_ok()).count();
        if removed > 0 {
            self.remove_unread_folders(kept);
        }
        removed
    }

    fn remove_unread_folders(&self, kept: Duration) {
        let in_use: Vec<Utf8PathBuf> = entries(&self.published().join("gen"))
            .iter()
            .flat_map(|generation| entries(generation))
            .filter_map(|link| link.canonicalize_utf8().ok())
            .collect();
        for table in entries(&self.published().join("tables")) {
            for folder in entries(&table) {
                if is_old(&folder, kept) && folder.canonicalize_utf8().is_ok_and(|folder| !in_use.contains(&folder)) {
                    let _ = self.disk.remove(&folder);
                }
            }
        }
    }
}

/// Returns whether a generation has all tables that it was made with, and each can be opened. What links lead to may have
/// been removed by somebody else, and so may links.
fn is_whole(generation: &Utf8Path) -> bool {
    let Ok(views) = std::fs::read_to_string(generation.join(VIEWS)) else { return false };
    let mut tables = entries(generation);
    tables.retain(|entry| ![Some(VIEWS), Some(MANIFEST)].contains(&entry.file_name()));
    tables.len() == views.matches(CREATE).count() && tables.iter().all(|table| table.join(part(0)).exists())
}

/// Returns the name of the n-th file of a table. Every table has one at least.
fn part(n: usize) -> String {
    format!("part-{n}.parquet")
}

/// Returns whether a folder has been there for so long that nobody should still be reading what it holds.
fn is_old(path: &Utf8Path, kept: Duration) -> bool {
    let made = path.symlink_metadata().and_then(|metadata| metadata.modified());
    made.is_ok_and(|made| SystemTime::now().duration_since(made).is_ok_and(|age| age >= kept))
}

fn entries(folder: &Utf8Path) -> Vec<Utf8PathBuf> {
    folder.read_dir_utf8().into_iter().flatten().filter_map(|entry| Some(entry.ok()?.into_path())).collect()
}

fn absolute(path: &Utf8Path) -> Utf8PathBuf {
    camino::absolute_utf8(path).unwrap_or_else(|_| path.to_path_buf())
}

fn parquet_bytes(batch: &RecordBatch, path: &Utf8Path) -> Result<Vec<u8>, StoreError> {
    let parquet = |source| StoreError::Parquet { path: path.to_path_buf(), source };
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), None).map_err(parquet)?;
    writer.write(batch).map_err(parquet)?;
    writer.into_inner().map_err(parquet)
}

/// Returns what the project of a snapshot consisted of, with whose tables it stands beside.
fn manifest_json(id: &Digest, snapshot: &Snapshot, manifest: serde_json::Value) -> String {
    let mut document = serde_json::Map::new();
    document.insert("snapshot".to_owned(), id.to_string().into());
    document.insert("as_of".to_owned(), crate::instant::text(&snapshot.as_of).into());
    document.insert("run".to_owned(), snapshot.run.clone().into());
    if let serde_json::Value::Object(manifest) = manifest {
        document.extend(manifest);
    }
    format!("{:#}\n", serde_json::Value::Object(document))
}

/// Returns DuckDB's views over one generation, with its tables' and columns' descriptions as comments.
fn views_sql(tables: &[TableState], generation: &Utf8Path) -> String {
    let mut sql = String::from("-- Views over one generation of the published tables. In DuckDB: .read views.sql\n");
    for table in tables {
        let name = &table.table;
        let files = generation.join(name).join("*.parquet");
        sql.push_str(&format!(
            "{CREATE}{} as select * from read_parquet({});\n",
            identifier(name),
            text(files.as_str())
        ));
        let about: Vec<&str> = [&table.description, &table.grain].into_iter().flatten().map(String::as_str).collect();
        if !about.is_empty() {
            sql.push_str(&format!("comment on view {} is {};\n", identifier(name), text(&about.join("; "))));
        }
        for column in &table.columns {
            let labels = [&column.en, &column.zh, &column.description].into_iter().flatten().cloned();
            let unit = column.unit.iter().map(|unit| format!("[{unit}]"));
            let about = labels.chain(unit).collect::<Vec<_>>().join(" | ");
            if !about.is_empty() {
                let path = format!("{}.{}", identifier(name), identifier(&column.name));
                sql.push_str(&format!("comment on column {path} is {};\n", text(&about)));
            }
        }
    }
    sql
}
