//! Progress on a terminal, for work that takes longer than a second.

use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::print::Printer;
use super::summary::counted;
use crate::run::Event;

/// How long a run must take before people want to see it move.
const PATIENCE: Duration = Duration::from_secs(1);

/// A line at the bottom of the terminal that says what is going on; gone when dropped.
pub(super) struct Progress {
    bar: Option<ProgressBar>,
    is_over: Arc<AtomicBool>,
}

impl Progress {
    pub(super) fn new(printer: &Printer) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let is_wanted = !printer.is_quiet() && std::io::stderr().is_terminal();
        let bar = is_wanted.then(ProgressBar::hidden);
        if let Some(bar) = bar.clone() {
            let is_over = Arc::clone(&is_over);
            std::thread::spawn(move || {
                std::thread::sleep(PATIENCE);
                if is_over.load(Ordering::SeqCst) {
                    return;
                }
                if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} ({elapsed})") {
                    bar.set_style(style);
                }
                bar.set_draw_target(ProgressDrawTarget::stderr());
                bar.enable_steady_tick(Duration::from_millis(120));
            });
        }
        Self { bar, is_over }
    }

    pub(super) fn event(&self, event: &Event) {
        let Some(bar) = &self.bar else { return };
        bar.set_message(match event {
            Event::Planned { files, models } => {
                format!("{} to read, up to {} to build", counted(*files, "file"), counted(*models, "model"))
            }
            Event::Reading { dataset, files } => format!("reading {} of {dataset}", counted(*files, "file")),
            Event::Read(dataset) => format!("read {}", dataset.dataset),
            Event::Building { model, number, total } => format!("building {model}, {number} of {total}"),
            Event::Built(table) => format!("built {}", table.table),
            Event::Checking { checks } => format!("asking {checks} contracts and checks"),
            Event::Publishing => "publishing".to_owned(),
        });
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::SeqCst);
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
