//! What panics say, held back until it is known whose mistake they were.
//!
//! A decoder that panics over a damaged file is caught where the file is read, and people are told of the file. What the
//! panic said is for whoever mends opsmart, and only told where that is needed.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::sync::{Mutex, PoisonError};

use super::print::warn;

static SAID: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// From here on keeps what panics say.
pub(super) fn hold_back() {
    std::panic::set_hook(Box::new(|panic| {
        let thread = std::thread::current();
        let mut words = format!("thread `{}` {panic}\n", thread.name().unwrap_or("without a name"));
        let backtrace = Backtrace::capture();
        if backtrace.status() == BacktraceStatus::Captured {
            words.push_str(&format!("{backtrace}\n"));
        }
        tracing::debug!("{words}");
        SAID.lock().unwrap_or_else(PoisonError::into_inner).push(words);
    }));
}

/// Tells what panics said.
pub(super) fn tell() {
    std::mem::take(&mut *SAID.lock().unwrap_or_else(PoisonError::into_inner)).iter().for_each(|words| warn(words));
}
