//! Named moments at which a test can have the process killed.
//!
//! With `OPSMART_CRASH_AT=<name>` in the environment the process ends at that moment without any cleaning up, as it
//! would from `kill -9`. Without it a crash point costs one look at a value that was read once.

use std::sync::LazyLock;

/// Ends the process here if the environment asks for it.
pub fn crash_point(name: &str) {
    static ASKED: LazyLock<Option<String>> = LazyLock::new(|| std::env::var("OPSMART_CRASH_AT").ok());
    if ASKED.as_deref() == Some(name) {
        std::process::abort();
    }
}
