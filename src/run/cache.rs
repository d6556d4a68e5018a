//! Answers about a project, kept in `memos/` of the warehouse so that they need not be found twice.
//!
//! An answer holds as long as the project's files have the stamp that they had before it was found, and the program is
//! the same. Whatever is in doubt, such as a file that was changed a moment ago or a link, has no stamp, and then the
//! answer is found again. What is kept by [`remember_for_program`] holds for the same program whatever becomes of the
//! project: who keeps it names its answers by all that they depend on (`plan/remembered.rs`).

use camino::Utf8Path;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::digest::{Digest, Parts};
use crate::project;
use crate::stamp;
use crate::store::Store;

/// A question about a project, under whose name the answer is kept.
#[derive(Debug, Clone)]
pub struct Memo {
    name: String,
    program: String,
    project: Option<Digest>,
}

#[derive(Serialize, Deserialize)]
struct Answer<T> {
    program: String,
    project: Digest,
    said: T,
}

impl Memo {
    /// Puts together what is asked: `words` are all that was said besides the project. Must be called before the project
    /// is read, so that a change meanwhile is seen.
    #[must_use]
    pub fn new(root: &Utf8Path, kind: &str, words: &[&[String]]) -> Self {
        let mut parts = Parts::of("memo");
        parts.add(root.as_str());
        for list in words {
            parts.add(list.len().to_le_bytes());
            list.iter().for_each(|word| parts.add(word));
        }
        let name = format!("{kind}-{}", parts.digest().short());
        Self { name, program: program(), project: project::stamp(root) }
    }

    /// Returns the answer that still holds, if there is one.
    #[must_use]
    pub fn recall<T: DeserializeOwned>(&self, store: &Store) -> Option<T> {
        let known: Answer<T> = store.recall(&self.name)?;
        (known.program == self.program && self.project.as_ref() == Some(&known.project)).then_some(known.said)
    }

    /// Remembers an answer.
    pub fn remember(&self, store: &Store, answer: impl Serialize) {
        let Some(project) = self.project.clone() else { return };
        store.remember(&self.name, &Answer { program: self.program.clone(), project, said: answer });
    }
}

/// Returns what was remembered under a name by this program, whatever has become of the project.
#[must_use]
pub fn recall_for_program<T: DeserializeOwned>(store: &Store, name: &str) -> Option<T> {
    let (known, said): (String, T) = store.recall(name)?;
    (known == program()).then_some(said)
}

/// Remembers what holds whatever becomes of the project.
pub fn remember_for_program(store: &Store, name: &str, said: impl Serialize) {
    store.remember(name, &(program(), said));
}

/// Returns what tells this program from another build of it.
fn program() -> String {
    let file = std::env::current_exe().and_then(std::fs::metadata);
    format!("{} {}", env!("CARGO_PKG_VERSION"), file.map_or_else(|_| String::new(), |file| stamp::tag(&file)))
}
