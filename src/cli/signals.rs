//! SIGINT and SIGTERM: they end a command that cleans up after itself, and end it also where it cannot.
//!
//! A command works in a thread of its own. Most leave signals to the kernel, which ends them at once; that is as safe as a
//! kill at any moment. One that wants to clean up waits for [`signal`]. Whatever it is doing then, and whether or not it
//! comes to look at the signal, the process ends within 20 seconds, or at a second signal.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Once, OnceLock};
use std::thread;
use std::time::Duration;

use super::print::warn;
use crate::plan::STACK_BYTES;
use crate::run::Exit;

/// How long a command may take to clean up. Schedulers kill it after 30 seconds.
const PATIENCE: Duration = Duration::from_secs(20);

/// Whoever waits for the command to end.
static WAITING: OnceLock<Sender<Exit>> = OnceLock::new();

/// Does the work of a command, and returns how it ended, or how a signal ended it.
pub(super) fn until_done_or_told(work: impl FnOnce() -> Exit + Send + 'static) -> Exit {
    let (done, ended) = channel();
    // A second command of one process, as tests have it, cannot be ended before its time.
    let _ = WAITING.set(done.clone());
    let work = move || {
        let exit = catch_unwind(AssertUnwindSafe(work)).unwrap_or(Exit::Bug);
        let _ = done.send(exit);
    };
    match thread::Builder::new().name("command".to_owned()).stack_size(STACK_BYTES).spawn(work) {
        Ok(_) => ended.recv().unwrap_or(Exit::Bug),
        Err(error) => {
            warn(&format!("error: cannot start a thread: {error}\n"));
            Exit::Temporary
        }
    }
}

/// Waits for SIGINT or SIGTERM. From the first call on, neither ends the process by itself.
pub(super) async fn signal() -> Exit {
    static WATCHED: Once = Once::new();
    WATCHED.call_once(watch);
    told().await
}

async fn told() -> Exit {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut interrupt), Ok(mut terminate)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => Exit::Interrupted,
        _ = terminate.recv() => Exit::Terminated,
    }
}

/// Ends the process if the command does not, from a thread that waits for nothing else.
fn watch() {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
    let watch = move || {
        let exit = runtime.block_on(async {
            let exit = told().await;
            let _ = tokio::time::timeout(PATIENCE, told()).await;
            exit
        });
        if let Some(waiting) = WAITING.get() {
            warn("ended in the middle of its work; what it had published stands, and the next run removes the rest\n");
            let _ = waiting.send(exit);
        }
    };
    let _ = thread::Builder::new().name("signals".to_owned()).spawn(watch);
}
